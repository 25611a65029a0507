#include "monitor/monitor.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "monitor/exit_record.hpp"

namespace engine::monitor {
namespace {

constexpr std::size_t maximum_clients = 64;
constexpr std::int64_t linger_ms = 60'000;
constexpr std::size_t chunk_size = 16 * 1024;
char chunk[chunk_size]; // one for all reads; in .bss, so that it costs nothing until used

std::int64_t clock_nsec(clockid_t clock) noexcept {
    timespec now{};
    ::clock_gettime(clock, &now);
    return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}
std::int64_t wall_nsec() noexcept {
    return clock_nsec(CLOCK_REALTIME);
}
std::int64_t monotonic_ms() noexcept {
    return clock_nsec(CLOCK_MONOTONIC) / 1'000'000;
}

template <typename T>
std::string_view bytes_of(const T& value) noexcept {
    return {reinterpret_cast<const char*>(&value), sizeof value};
}

} // namespace

Monitor::Monitor(Options options)
    : options_(std::move(options)), log_(options_.log, options_.log_maximum_size, options_.log_maximum_files),
      listener_(socket_fd) {
    set_phase(Phase::creating);
}

int Monitor::run() {
    if (!set_up())
        return 1;
    if (options_.is_exec())
        set_phase(Phase::created); // the process is made by `start`
    else
        create_container();
    while (!done())
        turn();
    return 0;
}

bool Monitor::set_up() {
    // The container's first process becomes our child when the runtime that made it exits.
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || ::fcntl(socket_fd, F_SETFD, FD_CLOEXEC) < 0 ||
        ::chdir(options_.run_directory.c_str()) < 0) {
        std::fprintf(stderr, "<3>engine-monitor: set up in %s: %s\n", options_.run_directory.c_str(),
                     std::strerror(errno));
        return false;
    }
    (void)::prctl(PR_SET_NAME, "engine-monitor");
    run_directory_.reset(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // Nothing but SIGKILL ends a monitor before its container: TERM and the like are blocked and never read.
    sigset_t blocked;
    ::sigemptyset(&blocked);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2})
        ::sigaddset(&blocked, signal);
    ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    sigset_t children;
    ::sigemptyset(&children);
    ::sigaddset(&children, SIGCHLD);
    signals_.reset(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!run_directory_ || !signals_) {
        std::fprintf(stderr, "<3>engine-monitor: set up: %s\n", std::strerror(errno));
        return false;
    }
    if (const int error = log_.open(); error != 0)
        std::fprintf(stderr, "<4>engine-monitor: open %s: %s\n", options_.log.c_str(), std::strerror(error));
    return true;
}

// --- calls of the runtime ---

std::vector<std::string> Monitor::runtime_command(const char* command) const {
    return {options_.runtime, "--root", options_.runtime_root, command};
}

bool Monitor::launch(Call call, std::vector<std::string> argv, bool owns_streams) {
    Streams ours;
    ChildStreams theirs;
    const bool tty = !owns_streams || options_.tty;
    int error = make_streams(tty, owns_streams && options_.open_stdin, ours, theirs);
    if (error == 0 && owns_streams && options_.tty) {
        console_listener_ = listen_for_console();
        if (!console_listener_)
            error = errno;
    }
    pid_t pid = 0;
    if (error == 0 && (pid = run_program(argv, theirs)) < 0)
        error = -pid;
    if (error != 0) {
        fail("start " + argv[0] + ": " + std::strerror(error));
        return false;
    }
    if (owns_streams)
        streams_ = std::move(ours);
    else
        call_errors_ = std::move(ours.error);
    call_ = call;
    runtime_pid_ = pid;
    return true;
}

/// The path by which the runtime finds console.sock: sun_path has 108 bytes, a run directory's name may be longer.
static std::string console_path() {
    return "/proc/" + std::to_string(::getpid()) + "/cwd/console.sock";
}

void Monitor::create_container() {
    auto argv = runtime_command("create");
    argv.insert(argv.end(), {"--bundle", options_.bundle, "--pid-file", options_.run_directory + "/pid"});
    if (options_.tty)
        argv.insert(argv.end(), {"--console-socket", console_path()});
    argv.push_back(options_.id);
    launch(Call::create, std::move(argv), true);
}

void Monitor::start_container() {
    if (start_called_ || !is(Phase::created))
        return;
    start_called_ = true;
    set_phase(Phase::starting);
    if (!options_.is_exec()) {
        auto argv = runtime_command("start");
        argv.push_back(options_.id);
        launch(Call::start, std::move(argv), false);
        return;
    }
    auto argv = runtime_command("exec");
    argv.insert(argv.end(), {"--detach", "--pid-file", options_.run_directory + "/pid", "--process", options_.process});
    if (options_.tty)
        argv.insert(argv.end(), {"--tty", "--console-socket", console_path()});
    argv.push_back(options_.id);
    launch(Call::start, std::move(argv), true);
}

void Monitor::reap() {
    signalfd_siginfo ignored;
    while (::read(signals_.get(), &ignored, sizeof ignored) > 0) {
    }
    int status = 0;
    // The runtime first: until it has ended we do not know which of our children is the container.
    if (call_ != Call::none && ::waitpid(runtime_pid_, &status, WNOHANG) == runtime_pid_)
        runtime_ended(status);
    for (;;) {
        if (call_ != Call::none && state_.pid == 0)
            return;
        const pid_t pid = ::waitpid(-1, &status, WNOHANG);
        if (pid <= 0)
            break;
        if (call_ != Call::none && pid == runtime_pid_) {
            runtime_ended(status);
        } else if (pid == state_.pid) {
            container_reaped_ = true;
            container_status_ = status;
        }
    }
    if (container_reaped_ && call_ == Call::none && !final_)
        container_ended();
}

void Monitor::runtime_ended(int wait_status) {
    const Call call = std::exchange(call_, Call::none);
    runtime_pid_ = 0;
    const bool makes_process = call == Call::create || options_.is_exec();
    if (console_listener_) {
        take_console(); // the runtime has sent it before it ended, if at all
        console_listener_.reset();
        (void)::unlink("console.sock");
    }
    if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != 0) {
        std::string text = read_available(makes_process ? streams_.error.get() : call_errors_.get());
        if (text.empty())
            text =
                options_.runtime + (WIFEXITED(wait_status) ? ": exit code " + std::to_string(WEXITSTATUS(wait_status))
                                                           : ": signal " + std::to_string(WTERMSIG(wait_status)));
        fail(text);
        return;
    }
    call_errors_.reset();
    if (makes_process) {
        take_pid();
        if (state_.pid <= 0) {
            state_.pid = 0;
            fail(options_.runtime + ": wrote no pid file");
            return;
        }
        if (options_.tty && !streams_.out) {
            fail(options_.runtime + ": sent no terminal");
            return;
        }
        if (options_.tty)
            streams_.error.reset();
    }
    if (call == Call::create) {
        set_phase(Phase::created);
    } else {
        set_phase(Phase::running);
        state_.started_nsec = wall_nsec();
    }
    broadcast_state();
}

void Monitor::take_pid() {
    base::UniqueFd fd(::openat(run_directory_.get(), "pid", O_RDONLY | O_CLOEXEC));
    if (fd)
        state_.pid = std::atoi(read_available(fd.get()).c_str());
}

void Monitor::fail(const std::string& error) {
    error_ = error;
    if (state_.pid > 0 && !container_reaped_) {
        ::kill(state_.pid, SIGKILL);
        ::waitpid(state_.pid, nullptr, 0);
    }
    state_.pid = 0;
    set_phase(Phase::failed);
    state_.finished_nsec = wall_nsec();
    finish_output();
}

void Monitor::container_ended() {
    state_.pid = 0;
    state_.exit_code = WIFEXITED(container_status_) ? WEXITSTATUS(container_status_) : 0;
    state_.exit_signal = WIFSIGNALED(container_status_) ? WTERMSIG(container_status_) : 0;
    set_phase(Phase::exited);
    state_.finished_nsec = wall_nsec();
    // Who asks for the logs after the exit was reported shall find all of them. The container's processes are gone
    // with its pid namespace, so this is at most what the pipes hold; where they may live on (the host's pid
    // namespace), what comes later is not ours to wait for.
    forward_output(streams_.out, LogFile::Stream::out, true);
    if (streams_.error)
        forward_output(streams_.error, LogFile::Stream::error, true);
    finish_output();
}

/// The end of everything: log, exit record, then the news.
void Monitor::finish_output() {
    final_ = true;
    final_deadline_ = monotonic_ms() + linger_ms;
    close_input();
    streams_ = {};
    log_.finish(wall_nsec());
    ExitRecord record;
    record.failed = is(Phase::failed);
    record.code = state_.exit_code;
    record.signal = state_.exit_signal;
    record.started_nsec = state_.started_nsec;
    record.finished_nsec = state_.finished_nsec;
    record.error = error_;
    if (const int error = write_exit_record(run_directory_.get(), "exit", record); error != 0)
        std::fprintf(stderr, "<3>engine-monitor: write %s/exit: %s\n", options_.run_directory.c_str(),
                     std::strerror(error));
    broadcast_state();
    for (Client& client : clients_)
        if (client.is_attached())
            client.send(MessageType::end, 0, {});
}

bool Monitor::done() const noexcept {
    if (!final_)
        return false;
    if (monotonic_ms() >= final_deadline_)
        return true;
    if (!greeted_control_)
        return false; // who started us is on its way, and is told why there is no container
    for (const Client& client : clients_)
        if (client.has_pending() || !client.greeted())
            return false;
    return true;
}

// --- the loop ---

void Monitor::turn() {
    const bool blocked = output_blocked();
    const bool forwarding = !blocked && !final_ && start_called_ && (call_ == Call::none || !options_.is_exec());
    polls_.clear();
    const auto add = [&](int fd, short events, bool wanted = true) {
        polls_.push_back({wanted ? fd : -1, events, 0});
    };
    add(signals_.get(), POLLIN);
    add(listener_.get(), POLLIN, clients_.size() < maximum_clients);
    add(console_listener_ ? console_listener_.get() : -1, POLLIN);
    add(streams_.out ? streams_.out.get() : -1, POLLIN, forwarding);
    add(streams_.error ? streams_.error.get() : -1, POLLIN, forwarding && !options_.tty);
    add(streams_.in ? streams_.in.get() : -1, POLLOUT, !input_.empty());
    constexpr std::size_t first_client = 6;
    for (const Client& client : clients_) {
        // Input is read when it can be given on; until then the client is held back (and its end not noticed).
        const bool reading = final_ || !client.wants(stream_in) || (is(Phase::running) && input_.empty());
        add(client.fd(), static_cast<short>((reading ? POLLIN : 0) | (client.has_pending() ? POLLOUT : 0)),
            reading || client.has_pending());
    }
    const int timeout = final_ ? 1000 : -1;
    if (::poll(polls_.data(), polls_.size(), timeout) < 0)
        return; // EINTR: signals are blocked, but a debugger may interrupt

    const auto ready = [&](std::size_t index) {
        return polls_[index].revents != 0;
    };
    const std::size_t known_clients = clients_.size();
    for (std::size_t i = 0; i < known_clients; ++i) {
        Client& client = clients_[i];
        const short events = polls_[first_client + i].revents;
        if ((events & POLLOUT) != 0)
            client.flush();
        if ((events & POLLIN) != 0 && !client.gone())
            read_client(client);
        else if ((events & (POLLHUP | POLLERR)) != 0)
            client.drop();
        if (client.gone())
            client_gone(client);
    }
    if (ready(2))
        take_console();
    if (ready(3) && streams_.out)
        forward_output(streams_.out, LogFile::Stream::out, false);
    if (ready(4) && streams_.error)
        forward_output(streams_.error, LogFile::Stream::error, false);
    if (ready(5) && streams_.in)
        write_input();
    if (ready(0))
        reap();
    if (ready(1))
        accept_client();
    std::erase_if(clients_, [](const Client& client) { return client.gone(); });
}

bool Monitor::output_blocked() const noexcept {
    for (const Client& client : clients_)
        if (client.is_attached() && client.has_pending())
            return true;
    return false;
}

/// Reads a chunk (or all that is there) and gives it to the log and the attached clients. False when nothing came.
bool Monitor::forward_output(base::UniqueFd& fd, LogFile::Stream stream, bool until_empty) {
    const bool is_error = stream == LogFile::Stream::error;
    // Twice what a pipe may hold by default: a process that lives on cannot keep us here.
    constexpr int most_chunks = 128 * 1024 / chunk_size;
    for (int i = 0; fd && i < (until_empty ? most_chunks : 1); ++i) {
        const ssize_t n = ::read(fd.get(), chunk, sizeof chunk);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return false;
        if (n <= 0) { // end of file; EIO: every process has closed the terminal
            if (options_.tty)
                close_input();
            fd.reset();
            return false;
        }
        const std::string_view data(chunk, static_cast<std::size_t>(n));
        log_.append(stream, data, wall_nsec());
        for (Client& client : clients_)
            if (client.wants(is_error ? stream_error : stream_out))
                client.send(MessageType::output, is_error ? 2 : 1, data);
    }
    return true;
}

void Monitor::write_input() {
    const ssize_t n = ::write(streams_.in.get(), input_.data(), input_.size());
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) { // EPIPE: the process has closed its input
        close_input();
        return;
    }
    input_.erase(0, static_cast<std::size_t>(n));
    if (input_.empty()) {
        std::string().swap(input_);
        if (input_ended_)
            close_input();
    }
}

/// A client that gave input has ended it, or is gone.
void Monitor::input_has_ended() noexcept {
    if (!options_.stdin_once || options_.tty)
        return;
    input_ended_ = true;
    if (input_.empty())
        close_input();
}

void Monitor::close_input() noexcept {
    streams_.in.reset();
    input_.clear();
}

void Monitor::take_console() {
    if (!console_listener_ || streams_.out)
        return;
    base::UniqueFd master = receive_console(console_listener_.get());
    if (!master)
        return;
    if (options_.open_stdin)
        streams_.in.reset(::fcntl(master.get(), F_DUPFD_CLOEXEC, 4));
    streams_.out = std::move(master);
}

// --- clients ---

void Monitor::accept_client() {
    base::UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd)
        return;
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || (peer.uid != 0 && peer.uid != ::geteuid()))
        return;
    clients_.emplace_back(std::move(fd));
}

void Monitor::read_client(Client& client) {
    // Header and payload of one packet; nobody sends input in larger pieces than this.
    static char packet[sizeof(Header) + maximum_payload];
    const ssize_t n = ::recv(client.fd(), packet, sizeof packet, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    Header header{};
    if (n < static_cast<ssize_t>(sizeof header)) {
        client.drop();
        return;
    }
    std::memcpy(&header, packet, sizeof header);
    const std::string_view payload(packet + sizeof header, static_cast<std::size_t>(n) - sizeof header);
    if (header.size != payload.size()) {
        client.drop();
        return;
    }
    handle(client, header, payload);
}

void Monitor::handle(Client& client, const Header& header, std::string_view payload) {
    const auto type = static_cast<MessageType>(header.type);
    if (!client.greeted()) {
        if (type != MessageType::hello || !client.greet(payload))
            return client.drop();
        send_hello(client);
        greeted_control_ = greeted_control_ || client.is_control();
        if (final_ && client.is_attached())
            client.send(MessageType::end, 0, {});
        return;
    }
    if (client.wants(stream_in) && type == MessageType::input && streams_.in) {
        input_.append(payload);
        write_input();
    } else if (client.wants(stream_in) && type == MessageType::input_close) {
        input_has_ended();
    } else if (client.is_control() && type == MessageType::start) {
        start_container();
    } else if (client.is_control() && type == MessageType::get_state) {
        client.send(MessageType::state, 0, bytes_of(state_), error_);
    } else if (client.is_control() && type == MessageType::signal && payload.size() >= sizeof(Signal)) {
        Signal signal{};
        std::memcpy(&signal, payload.data(), sizeof signal);
        // We are its parent and have not reaped it: the pid is nobody else's.
        if (state_.pid > 0 && !container_reaped_)
            ::kill(state_.pid, signal.number);
    } else if (client.is_control() && type == MessageType::resize && payload.size() >= sizeof(Resize)) {
        Resize resize{};
        std::memcpy(&resize, payload.data(), sizeof resize);
        const winsize size{resize.rows, resize.columns, 0, 0};
        if (options_.tty && streams_.out)
            ::ioctl(streams_.out.get(), TIOCSWINSZ, &size);
    }
}

void Monitor::client_gone(Client& client) {
    if (client.wants(stream_in))
        input_has_ended();
}

void Monitor::send_hello(Client& client) {
    MonitorHello hello{};
    hello.magic = protocol_magic;
    hello.version = client.version();
    hello.monitor_pid = ::getpid();
    hello.state = state_;
    client.send(MessageType::hello, 0, bytes_of(hello), error_);
}

void Monitor::broadcast_state() {
    for (Client& client : clients_)
        if (client.is_control())
            client.send(MessageType::state, 0, bytes_of(state_), error_);
}

} // namespace engine::monitor
