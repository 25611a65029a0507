// What updaterd tells: the properties and the status.
#include "base/json.hpp"
#include "base/log.hpp"
#include "daemon.hpp"
#include "record_json.hpp"
#include "updater/boot_text.hpp"

namespace updater {

namespace json = base::json;

const Deployment* Daemon::rollback_target() const {
    const auto booted = std::find_if(deployments_.begin(), deployments_.end(),
                                     [](const Deployment& deployment) { return deployment.booted; });
    if (booted == deployments_.end() || deployments_.size() < 2)
        return nullptr;
    // Something else is to boot next: going back means staying with what runs.
    if (booted != deployments_.begin())
        return &*booted;
    return &*(booted + 1);
}

BusView Daemon::view() const {
    const Deployment* target = rollback_target();
    BusView view;
    view.text = {{"State", std::string(to_string(record_.state))},
                 {"BootedVersion", booted_.version},
                 {"BootedCommit", booted_.commit},
                 {"BootedRevision", booted_.revision},
                 {"StagedVersion", record_.staged ? record_.staged->release.version : ""},
                 {"StagedCommit", record_.staged ? record_.staged->release.commit : ""},
                 {"RollbackVersion", target != nullptr ? target->release.version : ""},
                 {"LastError", record_.last_error}};
    const json::value status(policy_status());
    const base::JsonObject policy(status, "policy");
    view.text["PolicyMode"] = policy.string("mode");
    view.text["PolicyProblem"] = policy.string("problem");
    view.text["LockRefused"] = policy_.lock_refused;
    view.next_window = static_cast<std::uint64_t>(policy.integer("next_window"));
    if (record_.notes)
        view.notes = notes_to_lines(*record_.notes);
    view.progress = progress_;
    return view;
}

void Daemon::publish() noexcept {
    try {
        if (bus_)
            bus_->publish();
    } catch (const std::exception& error) {
        base::log_warning("properties not told: {}", error.what());
    }
}

std::string Daemon::status_text() const {
    json::object root{{"state", to_string(record_.state)},
                      {"booted", release_to_json(booted_)},
                      {"booted_is_good", !booted_.revision.empty() && booted_.revision == grub_ok_},
                      {"last_error", record_.last_error},
                      {"busy", job_ != nullptr}}; // also with work of its own, after a fallback
    if (record_.staged)
        root["staged"] = release_to_json(record_.staged->release);
    if (record_.staged && (record_.staged->factory || !record_.staged->arguments.empty()))
        root["staged_changes"] = staged_to_json(*record_.staged);
    if (record_.notes && !record_.notes->empty())
        root["notes"] = notes_to_json(*record_.notes);
    if (record_.pending && record_.state == State::rebooting)
        root["pending"] =
            json::object{{"kind", record_.pending->kind}, {"release", release_to_json(record_.pending->target)}};
    if (const Deployment* target = rollback_target())
        root["rollback"] = release_to_json(target->release);
    json::array deployments;
    for (const Deployment& deployment : deployments_)
        deployments.push_back(json::object{{"release", release_to_json(deployment.release)},
                                           {"timestamp", deployment.timestamp},
                                           {"stream", deployment.ref},
                                           {"booted", deployment.booted},
                                           {"pinned", deployment.pinned},
                                           {"good", deployment.release.revision == grub_ok_},
                                           {"failed", record_.receipt_of(deployment.release.revision) != nullptr}});
    root["deployments"] = std::move(deployments);
    if (is_busy(record_.state))
        root["progress"] = json::object{{"bytes", progress_.bytes},
                                        {"total_bytes", progress_.total_bytes},
                                        {"objects", progress_.objects},
                                        {"total_objects", progress_.total_objects}};
    if (on_trial() && judge_) {
        json::object trial{{"boots", record_.trial ? record_.trial->boots : 0},
                           {"seconds", boot_time().count() / 1000},
                           {"deadline_seconds", judge_->options().deadline.count() / 1000},
                           {"settle_seconds", judge_->options().settle.count() / 1000}};
        if (const auto since = judge_->healthy_since())
            trial["healthy_seconds"] = (boot_time() - *since).count() / 1000;
        else if (judge_->failure())
            trial["waiting_for"] = plain_text(judge_->failure()->check + ": " + judge_->failure()->detail, 500);
        root["trial"] = std::move(trial);
    }
    root["policy"] = policy_status();
    json::array receipts;
    for (const Receipt& receipt : record_.receipts)
        receipts.push_back(receipt_to_json(receipt));
    root["receipts"] = std::move(receipts);
    return json::serialize(root);
}

} // namespace updater
