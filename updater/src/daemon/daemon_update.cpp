// Check and upgrade: from asking the repository to a staged update.
#include <ctime>

#include "base/error.hpp"
#include "base/fault_point.hpp"
#include "base/sha256.hpp"
#include "daemon.hpp"
#include "record_json.hpp"
#include "updater/boot_text.hpp"

namespace updater {

namespace json = base::json;

UpdateSource Daemon::source() const {
    const base::HostConfig host = base::HostConfig::load(paths_.host_yaml);
    const ImageInfo image = ImageInfo::load(paths_.image_yaml);
    // The configuration decides; else the stream of what runs, which a rebase changed and a rollback takes back.
    std::string followed = image.ref;
    for (const Deployment& deployment : deployments_) {
        if (deployment.booted && is_valid_ref(deployment.ref))
            followed = deployment.ref;
    }
    UpdateSource source{host.update.url, host.update.ref.empty() ? followed : host.update.ref};
    if (source.url.empty())
        throw base::Error(fmt::format("no update.url in {}: this host gets no updates", paths_.host_yaml));
    if (source.ref.empty())
        throw base::Error(fmt::format("no update.ref in {} and no ref in {}", paths_.host_yaml, paths_.image_yaml));
    return source;
}

void Daemon::check(const BusCall& call) {
    start_pull(call, {.metadata_only = true});
}

void Daemon::upgrade(const BusCall& call) {
    start_pull(call, {});
}

void Daemon::start_pull(const BusCall& call, const PullWish& wish) {
    if (job_)
        throw BusError(error_busy, "another request is being worked on");
    if (on_trial())
        throw BusError(error_wrong_state,
                       "the booted release is on trial; it has to be found good before another one is fetched");
    if (record_.state == State::rebooting)
        throw BusError(error_wrong_state, "another deployment boots next; reboot first, or take it back with rollback");
    UpdateSource from = source();
    if (!wish.stream.empty())
        from.ref = wish.stream;
    const bool metadata_only = wish.metadata_only;
    std::vector<std::string> arguments{"pull", "--url", from.url, "--ref", from.ref};
    if (!wish.commit.empty()) {
        arguments.emplace_back("--commit");
        arguments.push_back(wish.commit);
    }
    if (!wish.release.empty())
        arguments.push_back("--release=" + wish.release); // whatever it begins with
    if (metadata_only)
        arguments.emplace_back("--metadata-only");
    if (call.option("allow-downgrade"))
        arguments.emplace_back("--allow-downgrade");
    if (call.option("ignore-rollout"))
        arguments.emplace_back("--ignore-rollout");
    if (!call.option("force")) {
        for (const Receipt& receipt : record_.receipts) {
            if (receipt.condemned && !receipt.revision_only && base::is_sha256_hex(receipt.release.commit)) {
                arguments.emplace_back("--refuse");
                arguments.push_back(receipt.release.commit);
            }
        }
    }
    progress_ = {};
    change(Event::check);
    try {
        job_ = std::make_unique<WorkerJob>(
            loop_, WorkerJob::Options{.argv = worker(std::move(arguments)),
                                      .on_line = [this](const json::object& line) { on_pull_line(line); },
                                      .on_end =
                                          [this, call, metadata_only, from](const WorkerResult& result) {
                                              job_.reset();
                                              on_pull_end(call, metadata_only, from, result);
                                          }});
    } catch (const base::Error&) {
        change(Event::ended);
        throw;
    }
}

void Daemon::on_pull_line(const json::object& line) {
    const json::value document(line);
    const base::JsonObject reader(document, "updater-worker");
    if (const auto now = reader.object("progress")) {
        progress_.bytes = static_cast<std::uint64_t>(now->integer("bytes"));
        progress_.objects = static_cast<std::uint64_t>(now->integer("objects"));
        progress_.total_objects = static_cast<std::uint64_t>(now->integer("total"));
        bus_->progress_changed(progress_);
        return;
    }
    const std::string stage = reader.string("stage");
    if (stage == "downloading") {
        progress_.total_bytes = static_cast<std::uint64_t>(reader.integer("bytes"));
        progress_.total_objects = static_cast<std::uint64_t>(reader.integer("objects"));
        change(Event::update_found);
    } else if (stage == "verifying") {
        progress_ = {};
        change(Event::content_complete);
    }
}

void Daemon::on_pull_end(const BusCall& call, bool metadata_only, const UpdateSource& from,
                         const WorkerResult& result) {
    base::fault_point("pull_ended");
    if (!result.ok) {
        change(Event::ended);
        fail(result.error);
        history_.add(metadata_only ? "check failed" : "upgrade refused", {}, record_.last_error);
        call.reply->error(record_.last_error);
        return;
    }
    const json::value document(result.result);
    const base::JsonObject reader(document, "updater-worker");
    const Release release = release_from_json(reader.object("release"));
    json::object answer = result.result;
    if (!reader.boolean("newer") || metadata_only) {
        change(Event::ended);
        record_.last_error.clear();
        save();
        answer["staged"] = record_.staged && record_.staged->release.commit == release.commit;
        call.reply->ok(json::serialize(answer));
        return;
    }
    stage(release, from);
    answer["release"] = release_to_json(record_.staged->release);
    answer["staged"] = true;
    if (call.option("reboot")) {
        try {
            ask_reboot("upgrade to " + release.version);
        } catch (const base::Error& error) {
            call.reply->error(fmt::format("staged, but not rebooting: {}", error.what()));
            return;
        }
    }
    call.reply->ok(json::serialize(answer));
}

void Daemon::stage(const Release& release, const UpdateSource& from) {
    const bool same = record_.staged && record_.staged->release.commit == release.commit;
    StagedUpdate staged{release, from.ref, std::time(nullptr), {}, false};
    if (record_.staged) { // what the host asked for goes along with the newer release
        staged.arguments = record_.staged->arguments;
        staged.factory = record_.staged->factory;
    }
    staged.release.revision = same ? record_.staged->release.revision : draw_revision();
    record_.staged = staged;
    record_.last_error.clear();
    record_.pardon(staged.release); // it is only here because it was forced, or never failed
    change(Event::content_verified);
    if (!same)
        history_.add("staged", staged.release, "from " + from.url + " " + from.ref);
}

} // namespace updater
