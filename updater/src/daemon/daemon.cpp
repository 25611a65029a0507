#include "daemon.hpp"

#include <ctime>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/grub_env.hpp"
#include "base/log.hpp"
#include "init/client.hpp"
#include "record_json.hpp"
#include "updater/boot_text.hpp"
#include "updater/sysroot.hpp"

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

Judge::Time boot_time() {
    struct timespec now {};
    base::check(::clock_gettime(CLOCK_BOOTTIME, &now), "clock_gettime");
    return std::chrono::duration_cast<Judge::Time>(std::chrono::seconds(now.tv_sec) +
                                                   std::chrono::nanoseconds(now.tv_nsec));
}

Daemon::Daemon(EventLoop& loop, Paths paths, std::string worker_program)
    : loop_(loop), paths_(std::move(paths)), worker_program_(std::move(worker_program)),
      record_(load_record(paths_.state_file())), history_(paths_.history_file()) {}

Daemon::~Daemon() = default;

std::vector<std::string> Daemon::worker(std::vector<std::string> arguments) const {
    std::vector<std::string> argv{worker_program_, "--root", paths_.root};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return argv;
}

void Daemon::start() {
    if (paths_.is_machine())
        thaw_boot(paths_.boot);
    if (is_busy(record_.state)) {
        history_.add("interrupted", {}, fmt::format("updaterd ended while {}", to_string(record_.state)));
        change(Event::ended);
    }
    assess();
    bus_ = std::make_unique<BusServer>(
        loop_, paths_.bus_socket, [this] { return view(); }, [this](const BusCall& call) { handle(call); });
    base::log_info("{} is booted, state {}", booted_.describe(), to_string(record_.state));
}

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
}

void Daemon::assess() {
    const std::string revision = kernel_argument(first_line(paths_.command_line), "atoll.rev");
    refresh_deployments();
    booted_.revision = revision;
    const base::GrubEnv env = load_grub_env(paths_.grub_env);
    grub_ok_ = env.get("ok");
    const auto init_failure = base::read_file_if_exists(paths_.init_failure, max_small_file);

    const BootFacts facts{booted_,
                          first_line(paths_.boot_id),
                          grub_ok_,
                          env.get("trial"),
                          env.get("tries"),
                          deployments_,
                          init_failure ? InitFailure::parse(*init_failure) : std::nullopt,
                          std::time(nullptr),
                          boot_time().count()};
    const State before = record_.state;
    const BootAssessment boot = assess_boot(record_, facts);
    has_fallback_ = boot.has_fallback;
    if (boot.staged_is_deployed)
        history_.add("finalised", booted_, "found deployed after the boot");
    if (boot.receipt) {
        history_.add("given up", boot.receipt->release, boot.receipt->check + ": " + boot.receipt->detail);
        record_.add_receipt(*boot.receipt);
    }
    save();

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
        job_ = std::make_unique<WorkerJob>(
            loop_, WorkerJob::Options{.argv = worker({"put-first", "--revision", booted_.revision}),
                                      .on_end =
                                          [this](const WorkerResult& result) {
                                              job_.reset();
                                              if (!result.ok)
                                                  fail("put the booted deployment first: " + result.error);
                                              refresh_deployments();
                                          },
                                      .dies_with_us = false});
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

void Daemon::confirm_good() {
    tell_init_good();
    try {
        base::write_durable(paths_.good_revision, booted_.revision + "\n");
        std::error_code ignored; // what init wrote is in a receipt by now, or about a boot that is past
        std::filesystem::remove(paths_.init_failure, ignored);
    } catch (const base::Error& error) {
        base::log_error("{}", error.what());
    }
}

// The write that decides. GRUB's environment is the authority; everything after it can be made up for at the next
// start.
void Daemon::write_ok() {
    base::GrubEnv env = load_grub_env(paths_.grub_env);
    env.set("ok", booted_.revision);
    env.unset("trial");
    env.unset("tries");
    env.store_in_place(paths_.grub_env);
    grub_ok_ = booted_.revision;
    judge_.reset();
    if (health_job_)
        health_job_->stop();
    deadline_.reset();
    given_up_ = false;
    record_.judgement = State::good;
    record_.last_error.clear();
    record_.trial.reset();
    record_.pardon(booted_.commit);
    change(Event::judged_good);
    confirm_good();
}

bool Daemon::tell_init_good() noexcept {
    try {
        init::Client::connect(paths_.init_socket).revision_good(booted_.revision);
        return true;
    } catch (const std::exception& error) {
        base::log_warning("{}", error.what());
        return false;
    }
}

void Daemon::ask_reboot(const std::string& reason) {
    init::Client::connect(paths_.init_socket).reboot(reason);
}

void Daemon::change(Event event) {
    const std::optional<State> after = next_state(record_.state, event, record_.resting());
    if (!after)
        throw base::Error(fmt::format("not possible while the state is {}", to_string(record_.state)));
    const State before = std::exchange(record_.state, *after);
    save();
    if (before == *after)
        return;
    base::log_info("{} -> {} ({})", to_string(before), to_string(*after), to_string(event));
    if (bus_)
        bus_->state_changed(std::string(to_string(before)), std::string(to_string(*after)));
}

// A full or broken /var must not keep a boot from being judged or rolled back.
void Daemon::save() noexcept {
    try {
        save_record(paths_.state_file(), record_);
    } catch (const std::exception& error) {
        base::log_error("state not written: {}", error.what());
    }
}

void Daemon::fail(const std::string& what) noexcept {
    record_.last_error = plain_text(what, 2000);
    base::log_error("{}", record_.last_error);
    save();
}

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
    view.progress = progress_;
    return view;
}

std::string Daemon::status_text() const {
    json::object root{{"state", to_string(record_.state)},
                      {"booted", release_to_json(booted_)},
                      {"booted_is_good", !booted_.revision.empty() && booted_.revision == grub_ok_},
                      {"last_error", record_.last_error},
                      {"busy", job_ != nullptr}}; // also with work of its own, after a fallback
    if (record_.staged)
        root["staged"] = release_to_json(record_.staged->release);
    if (record_.pending)
        root["pending"] =
            json::object{{"kind", record_.pending->kind}, {"release", release_to_json(record_.pending->target)}};
    if (const Deployment* target = rollback_target())
        root["rollback"] = release_to_json(target->release);
    json::array deployments;
    for (const Deployment& deployment : deployments_)
        deployments.push_back(json::object{{"release", release_to_json(deployment.release)},
                                           {"timestamp", deployment.timestamp},
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
    json::array receipts;
    for (const Receipt& receipt : record_.receipts)
        receipts.push_back(receipt_to_json(receipt));
    root["receipts"] = std::move(receipts);
    return json::serialize(root);
}

void Daemon::handle(const BusCall& call) {
    if (call.method == "Status")
        call.reply->ok(status_text());
    else if (call.method == "History")
        call.reply->ok(history_.text());
    else if (call.method == "Check")
        check(call);
    else if (call.method == "Upgrade")
        upgrade(call);
    else if (call.method == "Rollback")
        rollback(call);
    else if (call.method == "MarkGood")
        mark_good(call);
    else
        call.reply->error("no such method");
}

} // namespace updater
