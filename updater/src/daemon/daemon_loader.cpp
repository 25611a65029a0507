// The boot loader: updaterd says when, a worker has the host do it.
#include "base/error.hpp"
#include "daemon.hpp"

namespace updater {

namespace json = base::json;

void Daemon::boot_loader_status(const BusCall& call) {
    query(call, {"boot-loader", "look"}, [](json::object result) { return result; });
}

// One thing at a time: when a new release does not come up it has to be clear that the boot loader is the one that has
// brought this one up, and the other way round.
void Daemon::update_boot_loader(const BusCall& call) {
    require_idle("boot loader");
    if (booted_.revision.empty() || booted_.revision != grub_ok_)
        throw BusError(error_wrong_state, "boot loader: the booted release has to be found good first");
    if (record_.staged)
        throw BusError(error_wrong_state,
                       fmt::format("boot loader: {} is staged and installed at the next shutdown; reboot first, or "
                                   "drop it with cleanup --staged",
                                   record_.staged->release.describe()));
    const bool downgrade = call.option("allow-downgrade");
    job_ = std::make_unique<WorkerJob>(
        loop_, WorkerJob::Options{.argv = worker({"boot-loader", downgrade ? "downgrade" : "update"}),
                                  .on_end = [this, call](const WorkerResult& result) {
                                      job_.reset();
                                      if (!result.ok) {
                                          fail(result.error);
                                          history_.add("boot loader", booted_, record_.last_error);
                                          call.reply->error(record_.last_error);
                                          return;
                                      }
                                      note_boot_loader(result.result);
                                      call.reply->ok(json::serialize(result.result));
                                  }});
}

void Daemon::note_boot_loader(const json::object& answer) {
    const json::value document(answer);
    const base::JsonObject reader(document, "updater-worker");
    const std::vector<std::string> changed = reader.strings("changed");
    const auto carried = reader.object("carried");
    if (changed.empty() || !carried)
        return;
    std::string places;
    for (const std::string& place : changed)
        places += (places.empty() ? "" : ", ") + place;
    history_.add("boot loader", booted_, fmt::format("{} installed: {}", carried->string("id"), places));
}

} // namespace updater
