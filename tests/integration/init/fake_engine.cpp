// Stands for /usr/bin/engined where only init is under test. Static and small; what it shall do is in a file:
//   /var/lib/fake-engine/mode   "normal" (default), "exit N", "mute" (never says it is alive), "stubborn" (takes no
//                               SIGTERM), "hang" (alive once, then silent)
// It runs /usr/bin/scenario.sh with busybox when that is there, and leaves a line for each of its lives and its orderly
// end in /var/lib/fake-engine/log.
#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "init/protocol.hpp"

namespace {

constexpr const char* directory = "/var/lib/fake-engine";

std::string read_mode() {
    char text[64] = {};
    const int fd = ::open((std::string(directory) + "/mode").c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return "normal";
    const ssize_t size = ::read(fd, text, sizeof text - 1);
    ::close(fd);
    std::string mode(text, size > 0 ? static_cast<std::size_t>(size) : 0);
    while (!mode.empty() && mode.back() == '\n')
        mode.pop_back();
    return mode;
}

void note(const std::string& text) {
    const std::string line = text + "\n";
    const int fd = ::open((std::string(directory) + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 || ::write(fd, line.data(), line.size()) < 0)
        std::perror("note");
    ::close(fd);
}

void say(const std::string& text) {
    const std::string line = "<6>engined: " + text + "\n";
    if (::write(STDERR_FILENO, line.data(), line.size()) < 0)
        std::_Exit(3);
}

void send_alive() {
    init::Message message{};
    message.magic = init::message_magic;
    message.version = init::message_version;
    message.operation = static_cast<std::uint16_t>(init::Operation::engine_alive);
    if (::send(init::engine_fd, &message, sizeof message, MSG_NOSIGNAL) < 0)
        say(std::string("engine_alive: ") + std::strerror(errno));
}

void start_scenario() {
    if (::access("/usr/bin/scenario.sh", R_OK) != 0 || ::fork() != 0)
        return;
    ::setsid();
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execl("/usr/bin/busybox", "sh", "/usr/bin/scenario.sh", nullptr);
    std::_Exit(127);
}

} // namespace

int main() {
    ::mkdir(directory, 0755);
    ::fcntl(init::engine_fd, F_SETFD, FD_CLOEXEC);
    const std::string mode = read_mode();
    note("start pid=" + std::to_string(::getpid()));
    say("up, mode " + mode);
    if (mode.rfind("exit ", 0) == 0)
        return std::atoi(mode.c_str() + 5);

    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    const int fd = ::signalfd(-1, &signals, SFD_CLOEXEC);
    start_scenario();
    if (mode != "mute")
        send_alive();
    for (;;) {
        pollfd entry = {fd, POLLIN, 0};
        const int ready = ::poll(&entry, 1, 5000);
        if (ready == 0 && mode == "normal")
            send_alive();
        if (ready <= 0)
            continue;
        signalfd_siginfo info;
        if (::read(fd, &info, sizeof info) != static_cast<ssize_t>(sizeof info))
            continue;
        say("SIGTERM");
        if (mode == "stubborn")
            continue;
        note("stopped");
        return 0;
    }
}
