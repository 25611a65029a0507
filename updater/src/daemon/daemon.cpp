#include "daemon.hpp"

#include <ctime>

#include "base/error.hpp"
#include "base/fault_point.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "init/client.hpp"
#include "updater/boot_text.hpp"
#include "updater/sysroot.hpp"

namespace updater {

namespace {

/// The points before and after a state is on disk, by state.
struct StatePoints {
    const char* before;
    const char* after;
};
constexpr std::array<StatePoints, 9> state_points{{{"enter_idle", "idle"},
                                                   {"enter_checking", "checking"},
                                                   {"enter_downloading", "downloading"},
                                                   {"enter_verifying", "verifying"},
                                                   {"enter_staged", "staged"},
                                                   {"enter_rebooting", "rebooting"},
                                                   {"enter_trying", "trying"},
                                                   {"enter_good", "good"},
                                                   {"enter_rolled_back", "rolled_back"}}};
static_assert(state_points.size() == static_cast<std::size_t>(State::rolled_back) + 1);

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

// Workers write too, and died with the updaterd that was killed: nobody is writing now.
void Daemon::remove_leftovers() noexcept {
    try {
        for (const std::string& path :
             {paths_.state_file(), paths_.state_file() + ".bad", paths_.history_file(), paths_.trust_file(),
              paths_.partial_file(), paths_.grub_good, paths_.good_revision})
            base::remove_write_leftovers(path);
    } catch (const base::Error& error) {
        base::log_warning("{}", error.what());
    }
}

void Daemon::start() {
    if (paths_.is_machine())
        thaw_boot(paths_.boot);
    remove_leftovers();
    if (is_busy(record_.state)) {
        history_.add("interrupted", {}, fmt::format("updaterd ended while {}", to_string(record_.state)));
        change(Event::ended);
    }
    assess();
    follow_baseline();
    bus_ = std::make_unique<BusServer>(
        loop_, paths_.bus_socket, [this] { return view(); }, [this](const BusCall& call) { handle(call); });
    start_policy();
    base::log_info("{} is booted, state {}", booted_.describe(), to_string(record_.state));
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

/// init gives the revision up by itself some time after we would have: when we are gone.
void Daemon::tell_init_trial(std::chrono::seconds deadline) noexcept {
    try {
        init::Client::connect(paths_.init_socket).trial_length(static_cast<std::uint64_t>(deadline.count()));
    } catch (const std::exception& error) {
        base::log_warning("{}", error.what());
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
    const StatePoints& points = state_points[static_cast<std::size_t>(*after)];
    base::fault_point(points.before);
    save();
    base::fault_point(points.after);
    follow_baseline();
    if (before == *after)
        return;
    base::log_info("{} -> {} ({})", to_string(before), to_string(*after), to_string(event));
    if (bus_)
        bus_->state_changed(std::string(to_string(before)), std::string(to_string(*after)));
}

// A full or broken /var must not keep a boot from being judged or rolled back.
bool Daemon::save() noexcept {
    publish();
    try {
        save_record(paths_.state_file(), record_);
        return true;
    } catch (const std::exception& error) {
        base::log_error("state not written: {}", error.what());
        return false;
    }
}

void Daemon::fail(const std::string& what) noexcept {
    record_.last_error = plain_text(what, 2000);
    base::log_error("{}", record_.last_error);
    save();
}

void Daemon::handle(const BusCall& call) {
    using Method = void (*)(Daemon&, const BusCall&);
    static const std::map<std::string_view, Method> methods{
        {"Status",
         [](Daemon& self, const BusCall& made) {
             made.reply->ok(self.status_text());
         }},
        {"History",
         [](Daemon& self, const BusCall& made) {
             made.reply->ok(self.history_.text());
         }},
        {"Check",
         [](Daemon& self, const BusCall& made) {
             self.check(made);
         }},
        {"Upgrade",
         [](Daemon& self, const BusCall& made) {
             self.upgrade(made);
         }},
        {"Rollback",
         [](Daemon& self, const BusCall& made) {
             self.rollback(made);
         }},
        {"MarkGood",
         [](Daemon& self, const BusCall& made) {
             self.mark_good(made);
         }},
        {"Rebase",
         [](Daemon& self, const BusCall& made) {
             self.rebase(made);
         }},
        {"Deploy",
         [](Daemon& self, const BusCall& made) {
             self.deploy_release(made);
         }},
        {"Pin",
         [](Daemon& self, const BusCall& made) {
             self.pin(made, true);
         }},
        {"Unpin",
         [](Daemon& self, const BusCall& made) {
             self.pin(made, false);
         }},
        {"Cleanup",
         [](Daemon& self, const BusCall& made) {
             self.cleanup(made);
         }},
        {"KernelArguments",
         [](Daemon& self, const BusCall& made) {
             self.kernel_arguments(made);
         }},
        {"ChangeKernelArguments",
         [](Daemon& self, const BusCall& made) {
             self.change_kernel_arguments(made);
         }},
        {"Diff",
         [](Daemon& self, const BusCall& made) {
             self.diff(made);
         }},
        {"EtcDiff",
         [](Daemon& self, const BusCall& made) {
             self.etc_diff(made);
         }},
        {"BootLoaderStatus",
         [](Daemon& self, const BusCall& made) {
             self.boot_loader_status(made);
         }},
        {"UpdateBootLoader",
         [](Daemon& self, const BusCall& made) {
             self.update_boot_loader(made);
         }},
        {"FactoryReset",
         [](Daemon& self, const BusCall& made) {
             self.factory_reset(made);
         }},
    };
    const auto found = methods.find(call.method);
    if (found == methods.end())
        throw base::Error("no such method");
    found->second(*this, call);
}

} // namespace updater
