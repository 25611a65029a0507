#include "up.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

#include <csignal>
#include <cstdio>

#include "base/cli.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "qemu/rig.hpp"
#include "steps.hpp"

namespace qemu {
namespace {

constexpr std::uint16_t web_port = 8080;

/// One `up` at a time: the lock file holds its process id.
base::UniqueFd take_lock(const Places& places) {
    base::make_directories(places.out);
    const std::string path = places.out + "/up.pid";
    base::UniqueFd lock = base::open_file(path, O_RDWR | O_CREAT, 0644);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
        throw base::Error("it runs already (" + path + "); qemu/down ends it");
    base::check(::ftruncate(lock.get(), 0), "truncate " + path);
    base::write_all_at(lock.get(), std::to_string(::getpid()) + "\n", 0, path);
    return lock;
}

std::string write_environment(const Places& places, const Rig& rig) {
    std::string text = "# Source this: docker and fleetctl then reach the machine of qemu/up.\n";
    for (const std::string& variable : rig.client_environment())
        text += "export " + variable + "\n";
    text += "export PATH=" + places.binaries + ":" + std::filesystem::path(find_docker(places)).parent_path().string() +
            ":$PATH\n";
    base::write_durable(places.out + "/env", text);
    return "out/env";
}

void print_page(Rig& rig, const UpOptions& options) {
    fmt::print("\nAtoll {} runs in QEMU ({}, 2 CPUs, 1 GiB). Its own containers, seen from here:\n\n{}\n",
               rig.version(), options.bios ? "BIOS" : "UEFI",
               rig.docker_checked({"ps", "-a", "--filter", "label=atoll.system", "--format",
                                   "table {{.Label \"atoll.system\"}}\t{{.Image}}\t{{.Status}}\t{{.Command}}"}));
    fmt::print(R"(
Try, in another terminal:
  . out/env                                              docker and fleetctl for this machine
  docker run --rm busybox:1 echo hello                   a container
  fleetctl start qemu/guest/web.yaml                     a unit, at http://127.0.0.1:{}/
  qemu/sh updatectl upgrade --reboot                     to release 2.0, which is on offer
  qemu/sh updatectl rollback --reboot                    and back; qemu/sh updatectl status tells
  tail -f out/vm/up/console.log                          the console
Ctrl-C here, or qemu/down, ends it.
)",
               rig.machine().port(web_port));
    std::fflush(stdout);
}

RigOptions rig_options(const Images& images, const UpOptions& options) {
    RigOptions rig;
    rig.directory = images.places().out + "/vm/up";
    rig.disk = images.disk();
    rig.repository = images.repository();
    rig.firmware = options.bios ? Firmware::bios : Firmware::uefi;
    rig.cpus = 2;
    rig.more_ports = {web_port};
    return rig;
}

sigset_t end_signals() noexcept {
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGINT);
    ::sigaddset(&signals, SIGTERM);
    return signals;
}

/// Waits for SIGINT, SIGTERM, or the end of the machine. True when the machine still runs.
bool wait_for_end(Machine& machine) {
    const sigset_t signals = end_signals();
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    const base::UniqueFd signal_fd(base::check(::signalfd(-1, &signals, SFD_CLOEXEC), "signalfd"));
    while (machine.running()) {
        std::array<pollfd, 2> fds{{{signal_fd.get(), POLLIN, 0}, {machine.ended_fd(), POLLIN, 0}}};
        if (::poll(fds.data(), fds.size(), -1) > 0 && fds[0].revents != 0)
            return true;
    }
    return false;
}

} // namespace

int up(const Places& places, const UpOptions& options) {
    const base::UniqueFd lock = take_lock(places);
    Steps steps;
    Images images(places);
    steps.run("make the images (first and second release)", [&] { images.make(); });
    // A kept machine has the server's address in its /etc.
    const std::string port_file = places.out + "/vm/up/update-port";
    RigOptions wanted = rig_options(images, options);
    if (const auto port = base::read_file_if_exists(port_file); port && options.keep)
        wanted.server_port = static_cast<std::uint16_t>(std::stoul(*port));
    // The rig's threads never take these: one that could would end the program, and cut the machine's power, while
    // this thread waits for them. Until then they end a boot that somebody does not want to wait for.
    const sigset_t signals = end_signals();
    sigset_t before;
    ::pthread_sigmask(SIG_BLOCK, &signals, &before);
    Rig rig(places, wanted);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (!options.keep)
        rig.machine().create();
    base::write_durable(port_file, std::to_string(rig.server().port()));
    rig.machine().start();
    steps.run("boot to the first command inside", [&] { rig.machine().wait_shell(Seconds(300)); });
    steps.run("every required service healthy, release good", [&] { rig.wait_good(Seconds(300)); });
    steps.run("load busybox:1 into its engine", [&] { rig.docker_checked({"load", "-i", images.container_image()}); });
    write_environment(places, rig);
    print_page(rig, options);
    rig.machine().release_shell(); // for qemu/sh
    if (wait_for_end(rig.machine())) {
        fmt::print("\npowering off ...\n");
        std::fflush(stdout);
        rig.machine().press_power_button();
        try {
            rig.machine().wait_powered_off(Seconds(60));
        } catch (const base::Error&) {
            fmt::print("it did not in a minute: power cut\n");
        }
    }
    return 0;
}

int down(const Places& places) {
    const std::string path = places.out + "/up.pid";
    const auto text = base::read_file_if_exists(path);
    if (!text)
        return 0;
    const base::UniqueFd lock = base::open_file(path, O_RDWR);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0)
        return 0; // nobody holds it: that process is gone
    const int pid = std::atoi(text->c_str());
    const base::UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!process)
        return 0;
    base::check(::syscall(SYS_pidfd_send_signal, process.get(), SIGTERM, nullptr, 0),
                "signal process " + std::to_string(pid));
    pollfd ended{process.get(), POLLIN, 0};
    if (::poll(&ended, 1, 90'000) == 1)
        return 0;
    throw base::Error("process " + std::to_string(pid) + " of qemu/up did not end");
}

int shell(const Places& places, const std::string& command) {
    if (command.empty())
        throw base::UsageError("which command?");
    ShellClient client(connect_machine_socket(places.out + "/vm/up", "shell.sock"));
    const ShellResult result = client.run(command, {}, Seconds(600));
    std::fwrite(result.output.data(), 1, result.output.size(), stdout);
    std::fflush(stdout);
    std::fwrite(result.errors.data(), 1, result.errors.size(), stderr);
    return result.code;
}

} // namespace qemu
