#include "base/error.hpp"
#include "base/fault_point.hpp"
#include "base/files.hpp"
#include "base/grub_env.hpp"
#include "base/log.hpp"
#include "daemon.hpp"

namespace updater {

namespace {

// init allows 120 s for all of it.
constexpr std::chrono::milliseconds deploy_timeout = std::chrono::seconds(110);

std::string known_good(const std::string& grub_env) {
    try {
        return base::GrubEnv::load(grub_env).get("ok");
    } catch (const base::Error& error) {
        base::log_error("{}", error.what());
        return {};
    }
}

std::uint64_t deployments_to_keep(const std::string& host_yaml) {
    try {
        return base::HostConfig::load(host_yaml).update.keep;
    } catch (const base::Error& error) {
        base::log_error("{}", error.what()); // a mistake there must not keep an update away
        return base::UpdateConfig{}.keep;
    }
}

MergeNotes notes_of(const Release& release, const base::json::object& result) {
    const base::json::value document(result);
    const base::JsonObject reader(document, "updater-worker");
    MergeNotes notes;
    notes.release = release;
    notes.arguments = reader.strings("argument_conflicts");
    if (const auto etc = reader.object("etc")) {
        notes.etc = etc->strings("conflicts");
        notes.accounts = etc->strings("accounts");
    }
    return notes;
}

std::string describe(const MergeNotes& notes) {
    std::string text = "boots next";
    for (const std::string& path : notes.etc)
        text +=
            fmt::format("; /etc/{} was changed here and in the image: kept, the image's is /usr/etc/{}", path, path);
    for (const std::string& name : notes.arguments)
        text += fmt::format("; kernel argument {} was changed here and in the image: kept", name);
    for (const std::string& line : notes.accounts)
        text += "; " + line;
    return text;
}

} // namespace

bool finalize(const Paths& paths, const std::string& worker_program, bool own_namespace) {
    Record record = load_record(paths.state_file());
    if (!record.staged)
        return false;
    const StagedUpdate staged = *record.staged;
    base::fault_point("finalize");
    History history(paths.history_file());
    std::vector<std::string> argv{worker_program, "--root", paths.root};
    if (own_namespace)
        argv.emplace_back("--own-namespace");
    for (const std::string& word :
         {std::string("deploy"), std::string("--commit"), staged.release.commit, std::string("--revision"),
          staged.release.revision, std::string("--ref"), staged.ref})
        argv.push_back(word);
    if (const std::string good = known_good(paths.grub_env); !good.empty()) {
        argv.emplace_back("--keep");
        argv.push_back(good);
    }
    for (const ArgumentChange& change : staged.arguments) {
        argv.emplace_back("--argument");
        argv.push_back(fmt::format("{}:{}", to_string(change.kind), change.argument));
    }
    if (staged.factory)
        argv.emplace_back("--factory");
    argv.emplace_back("--keep-count");
    argv.push_back(std::to_string(deployments_to_keep(paths.host_yaml)));
    Release from;
    from.revision = kernel_argument(base::read_file_if_exists(paths.command_line, 64 * 1024).value_or(""), "atoll.rev");
    // Cut off from here on, the next start looks whether the entries were written.
    record.pending = PendingBoot{"upgrade", staged.release, from, record.boot_id};
    save_record(paths.state_file(), record);
    base::fault_point("order_noted");
    const WorkerResult result = run_worker(argv, deploy_timeout);
    if (!result.ok) {
        record.last_error = "finalise: " + result.error;
        record.pending.reset();
        save_record(paths.state_file(), record);
        history.add("finalise failed", staged.release, result.error);
        throw base::Error(fmt::format("deploy {}: {}", staged.release.describe(), result.error));
    }
    base::fault_point("finalized");
    // From here on the boot entries are the truth; a record that cannot be written is made up for at the next start.
    record.staged.reset();
    record.notes = notes_of(staged.release, result.result);
    record.state = next_state(record.state, Event::order_written, record.resting()).value_or(State::rebooting);
    save_record(paths.state_file(), record);
    base::fault_point("finalize_saved");
    history.add("finalised", staged.release, describe(*record.notes));
    base::log_notice("{} boots next", staged.release.describe());
    return true;
}

} // namespace updater
