// Rollback and mark-good: which deployment boots next, and which one is known good.
#include "base/error.hpp"
#include "base/fault_point.hpp"
#include "base/grub_env.hpp"
#include "daemon.hpp"
#include "record_json.hpp"

namespace updater {

namespace json = base::json;

void Daemon::rollback(const BusCall& call) {
    if (job_)
        throw BusError(error_busy, "another request is being worked on");
    const Deployment* target = rollback_target();
    if (target == nullptr)
        throw BusError(error_not_found, "there is no other deployment to go back to");
    const Receipt* receipt = record_.receipt_of(target->release.revision);
    if (receipt != nullptr && !target->booted && !call.option("force"))
        throw base::Error(fmt::format("{} failed on this host ({}: {}); to boot it all the same, force it",
                                      target->release.describe(), receipt->check, receipt->detail));
    reorder(call, target->release, target->booted);
}

void Daemon::reorder(const BusCall& call, const Release& target, bool reverts) {
    if (!reverts) {
        // A count that GRUB finished would keep the target from booting.
        base::GrubEnv env = base::GrubEnv::load(paths_.grub_env);
        if (env.get("trial") == target.revision) {
            env.unset("trial");
            env.unset("tries");
            env.store_in_place(paths_.grub_env);
            base::fault_point("old_count_removed");
        }
    }
    const bool drops_staged = record_.staged.has_value();
    if (drops_staged) {
        // Finalised at shutdown, it would be put in front again.
        history_.add("dropped", record_.staged->release, "by a rollback");
        record_.staged.reset();
        if (record_.state == State::staged)
            change(Event::dropped);
        else
            save();
    }
    if (!reverts) {
        // Cut off from here on, the next start looks whether the entries were written.
        record_.pending = PendingBoot{"rollback", target, booted_, record_.boot_id};
        save();
        base::fault_point("order_noted");
    }
    job_ = std::make_unique<WorkerJob>(
        loop_, WorkerJob::Options{.argv = worker({"put-first", "--revision", target.revision}),
                                  .on_end = [this, call, target, reverts, drops_staged](const WorkerResult& result) {
                                      job_.reset();
                                      base::fault_point("put_first_ended");
                                      refresh_deployments();
                                      if (!result.ok) {
                                          settle_order();
                                          fail(result.error);
                                          call.reply->error(record_.last_error);
                                          return;
                                      }
                                      json::object answer = result.result;
                                      note_left_behind(reverts ? Release{} : target, answer);
                                      if (reverts) {
                                          record_.pending.reset();
                                          if (record_.state == State::rebooting)
                                              change(Event::order_reverted);
                                          history_.add("rollback", target,
                                                       "stays; the change of deployment was taken back");
                                      } else {
                                          change(Event::order_written);
                                          history_.add("rollback", target, "boots next");
                                      }
                                      if (call.option("reboot"))
                                          ask_reboot("rollback to " + target.version);
                                      answer["release"] = release_to_json(target);
                                      answer["reverted"] = reverts;
                                      answer["dropped_staged"] = drops_staged;
                                      call.reply->ok(json::serialize(answer));
                                  }});
}

/// After a change of order that failed: it may have failed after the boot entries were written, and they count.
void Daemon::settle_order() {
    if (!record_.pending || deployments_.empty())
        return;
    if (deployments_.front().release.revision == record_.pending->target.revision) {
        if (record_.state != State::rebooting)
            change(Event::order_written);
        return;
    }
    record_.pending.reset();
    if (record_.state == State::rebooting)
        change(Event::order_reverted);
}

// The other deployment has the /etc it was left with: what was edited since is not in it.
void Daemon::note_left_behind(const Release& target, const json::object& answer) {
    record_.notes.reset();
    if (target.revision.empty())
        return;
    const json::value document(answer);
    MergeNotes notes;
    notes.release = target;
    notes.left_behind = base::JsonObject(document, "updater-worker").strings("etc_edits_left_behind");
    if (!notes.left_behind.empty())
        record_.notes = std::move(notes);
}

void Daemon::mark_good(const BusCall& call) {
    if (booted_.revision.empty())
        throw base::Error("the kernel has no atoll.rev: there is nothing to mark");
    const bool was_good = booted_.revision == grub_ok_;
    if (!was_good) {
        write_ok();
        history_.add("good", booted_, "marked by hand");
    }
    call.reply->ok(json::serialize(json::object{{"release", release_to_json(booted_)}, {"was_good", was_good}}));
}

} // namespace updater
