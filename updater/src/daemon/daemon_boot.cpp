// What this boot means: read when updaterd starts, and written down when it was found good.
#include <ctime>

#include "base/error.hpp"
#include "base/fault_point.hpp"
#include "base/files.hpp"
#include "base/grub_env.hpp"
#include "base/log.hpp"
#include "daemon.hpp"
#include "factory_var.hpp"
#include "record_json.hpp"

namespace updater {

namespace json = base::json;

namespace {

constexpr std::size_t max_small_file = 64 * 1024;
constexpr std::chrono::milliseconds inspect_timeout = std::chrono::minutes(2);

std::string first_line(const std::string& path) {
    std::string text = base::read_file_if_exists(path, max_small_file).value_or("");
    text.erase(std::find(text.begin(), text.end(), '\n'), text.end());
    return text;
}

/// Empty when the block is missing or damaged: then nothing is known to be good.
base::GrubEnv load_grub_env(const std::string& path) {
    try {
        return base::GrubEnv::load(path);
    } catch (const base::Error& error) {
        base::log_error("{}", base::error_chain(error));
        return {};
    }
}

} // namespace

void Daemon::refresh_deployments() {
    const WorkerResult result = run_worker(worker({"inspect"}), inspect_timeout);
    if (!result.ok) {
        // The boot is judged all the same; whoever wants to change something gets the error then.
        fail("read the deployments: " + result.error);
        return;
    }
    deployments_.clear();
    const json::value document(result.result);
    for (const json::value& item : base::JsonObject(document, "deployments").array("deployments")) {
        const base::JsonObject object(item, "deployment");
        deployments_.push_back({release_from_json(object.object("release")), object.integer("timestamp"),
                                object.boolean("booted"), object.boolean("pinned"), object.string("ref")});
        if (deployments_.back().booted)
            booted_ = deployments_.back().release;
    }
    publish();
}

/// Before the deployments are read for the first time.
void Daemon::repair() {
    const WorkerResult result = run_worker(worker({"repair"}), inspect_timeout);
    if (!result.ok) {
        base::log_error("repair of the boot files: {}", result.error);
        return;
    }
    const json::value document(result.result);
    for (const std::string& line : base::JsonObject(document, "repair").strings("done")) {
        base::log_warning("repaired: {}", line);
        history_.add("repaired", {}, line);
    }
}

// A factory reset had a /var of its own, and what was found out about it is there; stage 1 put the old one back.
void Daemon::read_failed_reset(const std::string& revision, std::optional<std::string>& init_failure) {
    const std::string var = failed_reset_directory(stateroot_directory(paths_), revision);
    if (var.empty())
        return;
    const auto below = [&](const std::string& path) { // /var is where the paths say, in that one
        return var + path.substr((paths_.is_machine() ? "" : paths_.root).size() + std::strlen("/var"));
    };
    try {
        if (!init_failure)
            init_failure = base::read_file_if_exists(below(paths_.init_failure), max_small_file);
        const auto text = base::read_file_if_exists(below(paths_.state_file()), Record::max_bytes);
        if (!text)
            return;
        const Record theirs = parse_record(*text, below(paths_.state_file()));
        if (const Receipt* receipt = theirs.receipt_of(revision);
            receipt != nullptr && record_.receipt_of(revision) == nullptr) {
            history_.add("given up", receipt->release, receipt->check + ": " + receipt->detail, receipt->log);
            record_.add_receipt(*receipt);
        }
        if (theirs.trial && theirs.trial->revision == revision)
            record_.trial = theirs.trial;
    } catch (const base::Error& error) {
        base::log_warning("{}", base::error_chain(error));
    }
}

void Daemon::assess() {
    repair();
    base::fault_point("boot_repaired");
    const std::string revision = kernel_argument(first_line(paths_.command_line), "atoll.rev");
    refresh_deployments();
    booted_.revision = revision;
    const base::GrubEnv env = load_grub_env(paths_.grub_env);
    grub_ok_ = env.get("ok");
    auto init_failure = base::read_file_if_exists(paths_.init_failure, max_small_file);
    if (!deployments_.empty() && deployments_.front().release.revision != revision)
        read_failed_reset(deployments_.front().release.revision, init_failure);

    const BootFacts facts{booted_,
                          first_line(paths_.boot_id),
                          grub_ok_,
                          env.get("trial"),
                          env.get("tries"),
                          env.get("begun"),
                          env.get("passed"),
                          deployments_,
                          init_failure ? InitFailure::parse(*init_failure) : std::nullopt,
                          parse_panic(base::read_file_if_exists(paths_.last_panic, max_small_file).value_or("")),
                          std::time(nullptr),
                          boot_time().count()};
    const State before = record_.state;
    const BootAssessment boot = assess_boot(record_, facts);
    has_fallback_ = boot.has_fallback;
    if (boot.staged_is_deployed)
        history_.add("finalised", booted_, "found deployed after the boot");
    if (boot.receipt) {
        history_.add("given up", boot.receipt->release, boot.receipt->check + ": " + boot.receipt->detail,
                     boot.receipt->log);
        record_.add_receipt(*boot.receipt);
    }
    // On disk before GRUB's notes go: a machine that loses power between the two comes to the same conclusion again.
    base::fault_point("boot_assessed");
    const bool recorded = save();
    base::fault_point("assessment_saved");
    if (boot.put_booted_first)
        put_booted_first(deployments_.front().release.revision);
    else if (boot.clear_count && recorded)
        clear_count(deployments_.front().release.revision);
    base::fault_point("count_cleared");

    switch (boot.kind) {
    case BootKind::on_trial:
        base::log_notice("{} is on trial, boot {}", booted_.describe(), record_.trial ? record_.trial->boots : 0);
        start_judging();
        break;
    case BootKind::fell_back:
        if (before != State::rolled_back)
            history_.add("rolled back", booted_, "the newer release failed, see its receipt");
        base::log_error("fell back to {}", booted_.describe());
        confirm_good();
        break;
    case BootKind::good:
    case BootKind::same:
        if (revision == grub_ok_)
            confirm_good();
        break;
    case BootKind::unknown:
        base::log_warning("the kernel has no atoll.rev: boots are not counted and not judged");
        break;
    }
}

/// So that the next boots do not depend on GRUB's environment. Until then its count keeps `failed` from being booted:
/// it goes after it.
void Daemon::put_booted_first(const std::string& failed) {
    job_ = std::make_unique<WorkerJob>(
        loop_, WorkerJob::Options{.argv = worker({"put-first", "--revision", booted_.revision}),
                                  .on_end = [this, failed](const WorkerResult& result) {
                                      job_.reset();
                                      base::fault_point("booted_put_first");
                                      if (result.ok)
                                          clear_count(failed);
                                      else
                                          fail("put the booted deployment first: " + result.error);
                                      refresh_deployments();
                                  }});
}

/// Forgets what GRUB and stage 1 noted of a newest deployment that did not boot.
void Daemon::clear_count(const std::string& revision) noexcept {
    try {
        base::GrubEnv env = base::GrubEnv::load(paths_.grub_env);
        if (env.get("trial") == revision) {
            env.unset("trial");
            env.unset("tries");
        }
        env.unset("begun");
        env.unset("passed");
        env.store_in_place(paths_.grub_env);
    } catch (const base::Error& error) {
        base::log_error("{}", base::error_chain(error));
    }
}

/// For a GRUB that finds its environment block damaged. In place, as that block: GRUB must never see half of a rename.
void Daemon::copy_ok() noexcept {
    if (grub_ok_.empty())
        return;
    try {
        base::GrubEnv copy;
        copy.set("ok", grub_ok_);
        const std::optional<std::string> there = base::read_file_if_exists(paths_.grub_good, base::GrubEnv::size);
        if (there == copy.serialize())
            return;
        if (there && there->size() == base::GrubEnv::size)
            copy.store_in_place(paths_.grub_good);
        else
            base::write_durable(paths_.grub_good, copy.serialize());
    } catch (const base::Error& error) {
        base::log_warning("{}", base::error_chain(error));
    }
}

void Daemon::confirm_good() {
    copy_ok();
    tell_init_good();
    base::fault_point("init_told");
    try {
        base::write_durable(paths_.good_revision, booted_.revision + "\n");
        std::error_code ignored; // what init wrote is in a receipt by now, or about a boot that is past
        std::filesystem::remove(paths_.init_failure, ignored);
        std::filesystem::remove(paths_.last_panic, ignored);
    } catch (const base::Error& error) {
        base::log_error("{}", error.what());
    }
    drop_old_var();
}

// After a factory reset, and only now: until the revision was found good the old data might have been wanted back.
void Daemon::drop_old_var() {
    std::vector<std::string> revisions;
    for (const Deployment& deployment : deployments_)
        revisions.push_back(deployment.release.revision);
    try {
        if (!retire_old_var(stateroot_directory(paths_), booted_.revision, revisions) || tidy_job_)
            return;
    } catch (const base::Error& error) {
        base::log_error("{}", error.what());
        return;
    }
    tidy_job_ = std::make_unique<WorkerJob>(
        loop_, WorkerJob::Options{.argv = worker({"drop-old-var"}),
                                  .on_end =
                                      [this](const WorkerResult& result) {
                                          tidy_job_.reset();
                                          if (!result.ok)
                                              base::log_error("remove what a factory reset replaced: {}", result.error);
                                      },
                                  .silence = std::chrono::hours(1)});
}

// The write that decides. GRUB's environment is the authority; everything after it can be made up for at the next
// start.
void Daemon::write_ok() {
    base::GrubEnv env = load_grub_env(paths_.grub_env);
    env.set("ok", booted_.revision);
    for (const char* count : {"trial", "tries", "begun", "passed"})
        env.unset(count);
    base::fault_point("found_good");
    env.store_in_place(paths_.grub_env);
    base::fault_point("ok_written");
    grub_ok_ = booted_.revision;
    stop_judging();
    deadline_.reset();
    given_up_ = false;
    record_.judgement = State::good;
    record_.last_error.clear();
    record_.trial.reset();
    record_.baseline.reset();
    record_.pardon(booted_);
    change(Event::judged_good);
    confirm_good();
}

} // namespace updater
