#include "qemu/machine.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <csignal>

#include "base/error.hpp"
#include "base/files.hpp"

namespace qemu {
namespace {

/// Waits until QEMU has made its last socket, or has ended.
bool wait_for_socket(const std::string& directory, const std::string& name, int ended_fd, const Deadline& deadline) {
    const base::UniqueFd inotify(base::check(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK), "inotify_init1"));
    base::check(::inotify_add_watch(inotify.get(), directory.c_str(), IN_CREATE), "watch " + directory);
    while (::access((directory + "/" + name).c_str(), F_OK) != 0) {
        std::array<pollfd, 2> fds{{{inotify.get(), POLLIN, 0}, {ended_fd, POLLIN, 0}}};
        const int ready = ::poll(fds.data(), fds.size(), deadline.poll_milliseconds());
        if (fds[1].revents != 0 || (ready == 0 && deadline.passed()))
            return false;
        std::array<char, 4096> events; // NOLINT(cppcoreguidelines-pro-type-member-init): only emptied
        while (::read(inotify.get(), events.data(), events.size()) > 0) {
        }
    }
    return true;
}

} // namespace

base::UniqueFd connect_machine_socket(const std::string& directory, const std::string& name) {
    // /proc/self/fd/N/NAME fits sun_path however long the directory's name is.
    const base::UniqueFd dir = base::open_file(directory, O_PATH | O_DIRECTORY);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = fmt::format("/proc/self/fd/{}/{}", dir.get(), name);
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    base::UniqueFd socket(base::check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    base::check(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
                "connect " + directory + "/" + name);
    return socket;
}

namespace {

/// The name of a socket is there a moment before QEMU listens.
base::UniqueFd connect_once_listening(const std::string& directory, const std::string& name, int ended_fd,
                                      const Deadline& deadline) {
    for (;;) {
        try {
            return connect_machine_socket(directory, name);
        } catch (const base::Error& error) {
            pollfd ended{ended_fd, POLLIN, 0};
            constexpr int pause_milliseconds = 5;
            if (error.error() != ECONNREFUSED || deadline.passed() || ::poll(&ended, 1, pause_milliseconds) != 0)
                throw;
        }
    }
}

} // namespace

ReservedPort::ReservedPort() : socket_(base::check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof(address);
    base::check(::bind(socket_.get(), generic, size), "bind a port of 127.0.0.1");
    base::check(::getsockname(socket_.get(), generic, &size), "getsockname");
    // After the bind: before it, the kernel might have chosen a port that somebody else reserves like this.
    const int shared = 1;
    base::check(::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &shared, sizeof shared), "SO_REUSEADDR");
    number_ = ntohs(address.sin_port);
}

Machine::Machine(MachineOptions options) : options_(std::move(options)) {
    base::make_directories(options_.directory);
    options_.directory = std::filesystem::absolute(options_.directory).lexically_normal().string();
    console_.emplace(path("console.log"));
}

Machine::~Machine() {
    power_cut();
}

void Machine::create() {
    power_cut();
    for (const char* file : {"disk.qcow2", "config.img", "vars.fd", "console.log", "qemu.log"})
        ::unlink(path(file).c_str());
    console_.emplace(path("console.log"));
}

void Machine::start() {
    if (running())
        throw base::Error("machine " + options_.name + " runs already");
    make_disk();
    make_config_drive();
    make_firmware();
    if (!options_.write_log.empty())
        base::write_durable(path(options_.write_log), {});
    for (const char* socket : {"console.sock", "shell.sock", "qmp.sock"})
        ::unlink(path(socket).c_str());
    if (forwards_.empty())
        for (const std::uint16_t guest : options_.forward)
            forwards_.push_back({guest, ReservedPort()});

    const base::UniqueFd log = base::open_file(path("qemu.log"), O_WRONLY | O_CREAT | O_APPEND, 0644);
    base::SpawnOptions spawn;
    spawn.directory = options_.directory;
    spawn.stdout_fd = log.get();
    spawn.stderr_fd = log.get();
    spawn.new_session = true; // Ctrl-C is for the one who started us
    spawn.parent_death_signal = options_.die_with_parent ? SIGKILL : 0;
    std::vector<base::UniqueFd> cables;
    for (const MachineOptions::Card& card : options_.cards) {
        cables.push_back(card.plug());
        spawn.extra_fds.emplace_back(cables.back().get(), first_card_fd + static_cast<int>(cables.size()) - 1);
    }
    console_->skip_to_end();
    boot_id_.clear();
    qemu_ = base::Child::spawn(arguments(), spawn);
    const Deadline started(Seconds(60));
    if (!wait_for_socket(options_.directory, "qmp.sock", qemu_.pidfd(), started)) {
        power_cut();
        throw base::Error("QEMU did not start: " + base::read_file(path("qemu.log")));
    }
    qmp_.emplace(connect_once_listening(options_.directory, "qmp.sock", qemu_.pidfd(), started));
}

bool Machine::running() {
    if (!qemu_)
        return false;
    if (!qemu_.wait_for(std::chrono::milliseconds(0)))
        return true;
    qemu_ = base::Child();
    qmp_.reset();
    shell_.reset();
    console_input_.reset();
    return false;
}

void Machine::wait_console(const std::string& text, Seconds limit) {
    wait_console_any({text}, limit);
}

std::size_t Machine::wait_console_any(const std::vector<std::string>& texts, Seconds limit) {
    return console_->wait_for_any(texts, Deadline(limit), ended_fd());
}

ConsoleLog& Machine::console() {
    return *console_;
}

void Machine::type(const std::string& text) {
    if (!console_input_)
        console_input_ = connect_machine_socket(options_.directory, "console.sock");
    base::write_all(console_input_.get(), text, "the console of " + options_.name);
}

ShellClient& Machine::shell() {
    if (!running())
        throw base::Error("machine " + options_.name + " does not run; " + console_->path() + "\n" +
                          console_->tail(20));
    if (!shell_)
        shell_.emplace(connect_machine_socket(options_.directory, "shell.sock"));
    return *shell_;
}

std::string Machine::last_seen() noexcept {
    try {
        // What tells a hang in the firmware from one in the kernel, when the console ends before either speaks; more
        // than once, as a loop is in many places.
        std::string seen;
        for (const char* command : {"info registers -a", "info registers -a", "info registers -a", "info registers -a",
                                    "info registers -a", "info registers -a", "info lapic", "x /512xg $rsp"})
            seen += qmp().execute("human-monitor-command", fmt::format(R"({{"command-line": "{}"}})", command)) + '\n';
        base::write_durable(path("registers.json"), seen);
    } catch (const std::exception& error) {
        return base::error_chain(error) + "; " + console_->path() + "\n" + console_->tail(40);
    }
    return "its processors are in " + path("registers.json") + ", its console in " + console_->path() + "\n" +
           console_->tail(40);
}

void Machine::wait_shell(Seconds limit) {
    try {
        boot_id_ = shell().wait_ready(Deadline(limit));
    } catch (const std::exception&) {
        std::throw_with_nested(base::Error("machine " + options_.name + " did not come up; " + last_seen()));
    }
}

void Machine::wait_rebooted(Seconds limit) {
    try {
        boot_id_ = shell().wait_reboot(boot_id_, Deadline(limit));
    } catch (const std::exception&) {
        std::throw_with_nested(base::Error("machine " + options_.name + " did not reboot; " + last_seen()));
    }
}

ShellResult Machine::run(const std::string& command, Seconds timeout, const std::string& input) {
    return shell().run(command, input, timeout);
}

std::string Machine::run_checked(const std::string& command, Seconds timeout, const std::string& input) {
    ShellResult result = run(command, timeout, input);
    if (!result.ok())
        throw base::Error(fmt::format("in machine {}: {}: exit code {}: {}{}", options_.name, command, result.code,
                                      result.output, result.errors));
    return std::move(result.output);
}

std::string Machine::run_until(const std::string& command, Seconds limit) {
    const Deadline deadline(limit);
    while (true) {
        ShellResult result;
        try {
            result = run(command, limit);
        } catch (const ShellRestarted& error) {
            result = {.code = -1, .output = {}, .errors = error.what()};
        }
        if (result.ok())
            return std::move(result.output);
        if (deadline.passed())
            throw base::Error(fmt::format("in machine {}: {}: not in time; last exit code {}: {}{}", options_.name,
                                          command, result.code, result.output, result.errors));
        // The next try starts after the guest's next beacon: no sleep of ours is needed.
    }
}

void Machine::write_file(const std::string& file, const std::string& content) {
    run_checked("cat > '" + file + "'", Seconds(60), content);
}

Qmp& Machine::qmp() {
    if (!qmp_)
        throw base::Error("machine " + options_.name + " does not run");
    return *qmp_;
}

void Machine::press_power_button() {
    qmp().execute("system_powerdown");
}

void Machine::press_ctrl_alt_del() {
    qmp().execute("send-key", R"({"keys": [{"type": "qcode", "data": "ctrl"}, {"type": "qcode", "data": "alt"},
        {"type": "qcode", "data": "delete"}]})");
}

void Machine::reset() {
    qmp().execute("system_reset");
}

void Machine::set_link(bool up) {
    qmp().execute("set_link", std::string(R"({"name": "nic0", "up": )") + (up ? "true}" : "false}"));
}

void Machine::power_cut() {
    if (qemu_) {
        qemu_.kill(SIGKILL);
        qemu_.wait();
    }
    qemu_ = base::Child();
    qmp_.reset();
    shell_.reset();
    console_input_.reset();
}

void Machine::wait_powered_off(Seconds limit) {
    if (!qemu_)
        return;
    if (!qemu_.wait_for(std::chrono::ceil<std::chrono::milliseconds>(limit)))
        throw base::Error("machine " + options_.name + " did not power off; " + console_->path() + "\n" +
                          console_->tail(40));
    qemu_ = base::Child();
    qmp_.reset();
    shell_.reset();
    console_input_.reset();
}

std::uint16_t Machine::port(std::uint16_t guest_port) const {
    for (const Forward& forward : forwards_)
        if (forward.guest == guest_port)
            return forward.host.number();
    throw base::Error(fmt::format("machine {}: port {} is not forwarded", options_.name, guest_port));
}

void Machine::collect_logs() noexcept {
    static const std::vector<std::pair<std::string, std::string>> sources = {
        {"guest-dmesg.log", "dmesg"},
        {"guest-init.log", "initctl log"},
        {"guest-update.log", "updatectl status; updatectl history"},
        {"guest-processes.log", "ps -ef; mount; ip addr; df"},
        {"guest-engine.log",
         "for d in /var/lib/atoll/engine/containers/*; do echo \"== $d\"; tail -n 100 $d/*log*; done"},
    };
    for (const auto& [file, command] : sources) {
        try {
            const ShellResult result = run(command, Seconds(30));
            base::write_durable(path(file), result.output + result.errors);
        } catch (const std::exception&) {
            return; // it does not answer any more: the console log has to do
        }
    }
}

} // namespace qemu
