// Deployments as root wants them: another stream, a certain release, pins, kernel arguments, cleaning up, factory
// reset.
#include <ctime>

#include "base/error.hpp"
#include "base/fault_point.hpp"
#include "base/sha256.hpp"
#include "daemon.hpp"
#include "record_json.hpp"
#include "updater/boot_text.hpp"

namespace updater {

namespace json = base::json;

void Daemon::require_idle(const char* what) const {
    if (job_)
        throw BusError(error_busy, fmt::format("{}: another request is being worked on", what));
    if (on_trial())
        throw BusError(error_wrong_state,
                       fmt::format("{}: the booted release is on trial; it has to be found good first", what));
    if (record_.state == State::rebooting)
        throw BusError(
            error_wrong_state,
            fmt::format("{}: another deployment boots next; reboot first, or take it back with rollback", what));
}

void Daemon::rebase(const BusCall& call) {
    const std::string stream = call.argument(0);
    if (!is_valid_ref(stream))
        throw BusError(error_invalid, "'" + plain_text(stream, 100) + "' is not the name of a stream");
    const std::string configured = base::HostConfig::load(paths_.host_yaml).update.ref;
    if (!configured.empty() && configured != stream)
        throw BusError(error_invalid,
                       fmt::format("{} says that this host follows {}; change update.stream there instead",
                                   paths_.host_yaml, configured));
    start_pull(call, {.metadata_only = false, .stream = stream, .release = {}, .commit = {}});
}

void Daemon::deploy_release(const BusCall& call) {
    const std::string wanted = call.argument(0);
    require_idle("deploy");
    for (const Deployment& deployment : deployments_) {
        if (deployment.release.version != wanted && deployment.release.commit != wanted)
            continue;
        if (const Receipt* receipt = record_.condemned(deployment.release.commit);
            receipt != nullptr && !call.option("force"))
            throw base::Error(fmt::format("{} failed on this host ({}: {}); to boot it all the same, force it",
                                          deployment.release.describe(), receipt->check, receipt->detail));
        StagedUpdate staged{
            deployment.release, deployment.ref.empty() ? source().ref : deployment.ref, std::time(nullptr), {}, false};
        if (record_.staged)
            staged.arguments = record_.staged->arguments;
        stage_local(call, std::move(staged), "by its name, from a deployment");
        return;
    }
    constexpr std::size_t longest_version = 100;
    if (wanted.empty() || wanted.size() > longest_version)
        throw BusError(error_invalid, "deploy: expected a version or a commit");
    const bool is_commit = base::is_sha256_hex(wanted);
    start_pull(
        call,
        {.metadata_only = false, .stream = {}, .release = is_commit ? "" : wanted, .commit = is_commit ? wanted : ""});
}

void Daemon::stage_local(const BusCall& call, StagedUpdate staged, const std::string& event) {
    staged.release.revision = draw_revision();
    std::vector<std::string> arguments{"stage-local", "--commit", staged.release.commit};
    for (const ArgumentChange& change : staged.arguments)
        arguments.push_back(fmt::format("--argument={}:{}", to_string(change.kind), change.argument));
    if (staged.factory)
        arguments.emplace_back("--factory");
    job_ = std::make_unique<WorkerJob>(
        loop_, WorkerJob::Options{.argv = worker(std::move(arguments)),
                                  .on_end = [this, call, staged, event](const WorkerResult& result) {
                                      job_.reset();
                                      base::fault_point("protected");
                                      if (!result.ok) {
                                          fail(result.error);
                                          call.reply->error(record_.last_error);
                                          return;
                                      }
                                      record_.staged = staged;
                                      record_.last_error.clear();
                                      change(Event::staged_local);
                                      history_.add("staged", staged.release, event);
                                      if (call.option("reboot"))
                                          ask_reboot("staged " + staged.release.version);
                                      json::object answer = staged_to_json(staged);
                                      answer["staged"] = true;
                                      answer["newer"] = true;
                                      call.reply->ok(json::serialize(answer));
                                  }});
}

void Daemon::pin(const BusCall& call, bool pinned) {
    if (job_)
        throw BusError(error_busy, "another request is being worked on");
    const Release release = choose(call.argument(0)).release;
    job_ = std::make_unique<WorkerJob>(
        loop_, WorkerJob::Options{.argv = worker({"pin", "--revision", release.revision, pinned ? "--on" : "--off"}),
                                  .on_end = [this, call, release, pinned](const WorkerResult& result) {
                                      job_.reset();
                                      base::fault_point("pin_ended");
                                      refresh_deployments();
                                      if (!result.ok) {
                                          fail(result.error);
                                          call.reply->error(record_.last_error);
                                          return;
                                      }
                                      history_.add(pinned ? "pinned" : "unpinned", release);
                                      call.reply->ok(json::serialize(
                                          json::object{{"release", release_to_json(release)}, {"pinned", pinned}}));
                                  }});
}

void Daemon::cleanup(const BusCall& call) {
    if (job_)
        throw BusError(error_busy, "another request is being worked on");
    std::optional<Release> dropped;
    if (call.option("staged") && record_.staged) {
        dropped = record_.staged->release;
        record_.staged.reset();
        if (record_.state == State::staged)
            change(Event::dropped);
        else
            save();
        history_.add("dropped", *dropped, "by cleanup");
    }
    // Only a clean-up that was asked for goes below what an update keeps: the first one to boot and the good one stay.
    const auto number = call.numbers.find("keep");
    const std::uint64_t keep =
        number != call.numbers.end() ? number->second : base::HostConfig::load(paths_.host_yaml).update.keep;
    if (keep < 1 || keep > 100)
        throw BusError(error_invalid, "keep: expected 1 to 100 deployments");
    std::vector<std::string> arguments{dropped ? "drop-staged" : "prune"};
    if (!dropped) {
        arguments.insert(arguments.end(), {"--keep-count", std::to_string(keep)});
        std::vector<std::string> needed{grub_ok_};
        if (!deployments_.empty())
            needed.push_back(deployments_.front().release.revision);
        for (const std::string& revision : needed) {
            if (!revision.empty())
                arguments.insert(arguments.end(), {"--keep", revision});
        }
    }
    job_ = std::make_unique<WorkerJob>(loop_,
                                       WorkerJob::Options{.argv = worker(std::move(arguments)),
                                                          .on_end = [this, call, dropped](const WorkerResult& result) {
                                                              job_.reset();
                                                              base::fault_point("cleanup_ended");
                                                              refresh_deployments();
                                                              if (!result.ok) {
                                                                  fail(result.error);
                                                                  call.reply->error(record_.last_error);
                                                                  return;
                                                              }
                                                              json::object answer = result.result;
                                                              if (dropped)
                                                                  answer["dropped"] = release_to_json(*dropped);
                                                              call.reply->ok(json::serialize(answer));
                                                          }});
}

void Daemon::change_kernel_arguments(const BusCall& call) {
    require_idle("kernel arguments");
    std::vector<ArgumentChange> changes;
    // Deletions first: `--delete a=1 --append a=2` says what it does.
    for (const auto kind :
         {ArgumentChange::Kind::remove, ArgumentChange::Kind::replace, ArgumentChange::Kind::append}) {
        for (const std::string& argument : call.list(std::string(to_string(kind)))) {
            changes.push_back({kind, argument});
            try {
                require_valid_change(changes.back());
            } catch (const base::Error& error) {
                throw BusError(error_invalid, error.what());
            }
        }
    }
    if (changes.empty())
        throw BusError(error_invalid, "kernel arguments: nothing to append, delete or replace");
    query(call, {"kernel-arguments"}, [this, call, changes](const json::object& result) {
        const json::value document(result);
        stage_arguments(call, base::JsonObject(document, "updater-worker").strings("arguments"), changes);
        return json::object{};
    });
}

void Daemon::stage_arguments(const BusCall& call, const std::vector<std::string>& booted_arguments,
                             const std::vector<ArgumentChange>& changes) {
    require_idle("kernel arguments");
    std::vector<ArgumentChange> all = record_.staged ? record_.staged->arguments : std::vector<ArgumentChange>{};
    all.insert(all.end(), changes.begin(), changes.end());
    require_fitting_arguments(change_arguments(booted_arguments, all, true));
    if (record_.staged && record_.staged->factory)
        throw BusError(error_wrong_state, "kernel arguments: a factory reset is staged; change them after it");
    if (record_.staged) {
        record_.staged->arguments = std::move(all);
        save();
        history_.add("kernel arguments", record_.staged->release, "changed with the staged release");
        json::object answer = staged_to_json(*record_.staged);
        answer["staged"] = true;
        if (call.option("reboot"))
            ask_reboot("kernel arguments");
        call.reply->ok(json::serialize(answer));
        return;
    }
    const Deployment& booted = choose("booted");
    StagedUpdate staged{booted.release, booted.ref.empty() ? source().ref : booted.ref, std::time(nullptr),
                        std::move(all), false};
    stage_local(call, std::move(staged), "the booted release with other kernel arguments");
}

void Daemon::factory_reset(const BusCall& call) {
    require_idle("factory reset");
    const Deployment& booted = choose("booted");
    StagedUpdate staged{booted.release, booted.ref.empty() ? source().ref : booted.ref, std::time(nullptr), {}, true};
    stage_local(call, std::move(staged), "factory reset: /etc, /var and kernel arguments as shipped");
}

} // namespace updater
