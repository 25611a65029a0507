// guest-shell: runs commands for the test rig, which speaks to it over the second serial port (shell_protocol.hpp).
// It is a root shell for whoever holds that port, as a rescue shell on the first one is, and is only in images made
// for the rig. It stays quiet on a machine that has no such port.
#include <fcntl.h>
#include <linux/serial.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "base/cli.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "qemu/shell_protocol.hpp"

namespace {

constexpr int beacon_milliseconds = 100;

/// The port in raw mode, or nothing when no UART is behind it: the kernel has the names of four.
base::UniqueFd open_port(const std::string& path) {
    base::UniqueFd port = base::open_file(path, O_RDWR | O_NOCTTY);
    serial_struct info{};
    if (::ioctl(port.get(), TIOCGSERIAL, &info) == 0 && info.type == PORT_UNKNOWN)
        return {};
    termios mode{};
    base::check(::tcgetattr(port.get(), &mode), "tcgetattr " + path);
    ::cfmakeraw(&mode);
    mode.c_cflag |= CLOCAL | CREAD;
    ::cfsetspeed(&mode, B115200);
    base::check(::tcsetattr(port.get(), TCSANOW, &mode), "tcsetattr " + path);
    return port;
}

/// Commands see the machine as PID 1 does, not as the container this program runs in.
void enter_host_mounts() {
    const base::UniqueFd root = base::open_file("/proc/1/root", O_PATH | O_DIRECTORY);
    const base::UniqueFd mounts = base::open_file("/proc/1/ns/mnt", O_RDONLY);
    base::check(::setns(mounts.get(), CLONE_NEWNS), "enter the mount namespace of PID 1");
    base::check(::fchdir(root.get()), "enter the root of PID 1");
    base::check(::chroot("."), "enter the root of PID 1");
}

class Session {
public:
    Session(base::UniqueFd port, std::string boot) : port_(std::move(port)), boot_(std::move(boot)) {}

    [[noreturn]] void serve() {
        while (true) {
            // Nobody reads: do not fill the queue with news that will be old.
            int queued = 0;
            if (::ioctl(port_.get(), TIOCOUTQ, &queued) != 0 || queued == 0)
                send("\nready " + boot_ + ' ' + name_);
            pollfd wait{port_.get(), POLLIN, 0};
            if (::poll(&wait, 1, beacon_milliseconds) <= 0)
                continue;
            std::array<char, 4096> chunk; // NOLINT(cppcoreguidelines-pro-type-member-init): filled by read
            const ssize_t count = base::check(::read(port_.get(), chunk.data(), chunk.size()), "read the port");
            if (count == 0)
                throw base::Error("the port was hung up");
            lines_.append({chunk.data(), static_cast<std::size_t>(count)});
            while (const auto line = lines_.next())
                handle(qemu::shell_words(*line));
        }
    }

private:
    void send(const std::string& line) { base::write_all(port_.get(), line + "\n", "the port"); }

    void send_text(const std::string& kind, const std::string& id, std::string_view text) {
        for (; !text.empty(); text.remove_prefix(std::min(text.size(), qemu::shell_chunk)))
            send(kind + ' ' + id + ' ' + qemu::shell_encode(text.substr(0, qemu::shell_chunk)));
    }

    void handle(const std::vector<std::string>& words) {
        if (words.size() != 5 || words[0] != "run")
            return;
        const std::string& id = words[1];
        try {
            base::RunOptions options;
            options.timeout = std::chrono::milliseconds(std::stoll(words[2]));
            options.spawn.inherit_environment = false;
            options.spawn.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=dumb", "LC_ALL=C"};
            options.spawn.directory = "/";
            options.spawn.new_session = true;
            options.input = qemu::shell_decode(words[4]);
            const base::RunResult result =
                base::run({"/usr/bin/busybox", "sh", "-c", qemu::shell_decode(words[3])}, options);
            send_text("out", id, result.output);
            send_text("err", id, result.errors);
            send("end " + id + ' ' + std::to_string(result.status.shell_code()));
        } catch (const std::exception& error) {
            send("fail " + id + ' ' + qemu::shell_encode(base::error_chain(error)));
        }
    }

    base::UniqueFd port_;
    std::string boot_;
    const std::string name_ = std::to_string(std::chrono::steady_clock::now().time_since_epoch().count());
    qemu::LineBuffer lines_;
};

/// Real-time processes that leave nobody else time on any CPU: PID 1 does not feed the watchdog any more.
[[noreturn]] void hang_machine() {
    const base::UniqueFd limit = base::open_file("/proc/sys/kernel/sched_rt_runtime_us", O_WRONLY);
    base::write_all(limit.get(), "-1\n", "sched_rt_runtime_us");
    const long cpus = ::sysconf(_SC_NPROCESSORS_ONLN);
    for (long cpu = 1; cpu < cpus && ::fork() != 0; ++cpu) {
    }
    const sched_param highest{::sched_get_priority_max(SCHED_FIFO)};
    base::check(::sched_setscheduler(0, SCHED_FIFO, &highest), "sched_setscheduler");
    for (volatile unsigned turns = 0;;)
        turns = turns + 1;
}

} // namespace

int main(int argc, char** argv) {
    return base::run_main("guest-shell", [&] {
        if (argc == 2 && std::string_view(argv[1]) == "--hang-machine")
            hang_machine();
        if (argc != 2)
            throw base::UsageError("usage: guest-shell PORT (such as /dev/ttyS1), guest-shell --hang-machine");
        base::UniqueFd port = open_port(argv[1]);
        if (!port) {
            while (true)
                ::pause();
        }
        std::string boot = base::read_file("/proc/sys/kernel/random/boot_id", 64);
        boot.erase(boot.find_last_not_of('\n') + 1);
        enter_host_mounts();
        Session(std::move(port), std::move(boot)).serve();
        return 0;
    });
}
