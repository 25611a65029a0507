#include "event_loop.hpp"

#include <csignal>
#include <systemd/sd-event.h>

#include "base/error.hpp"
#include "base/log.hpp"

namespace updater {

namespace {

void check_event(int result, const char* what) {
    if (result < 0)
        throw base::Error(-result, what);
}

class Source final : public EventLoop::Watch {
public:
    explicit Source(std::function<void()> function) : function_(std::move(function)) {}
    ~Source() override { sd_event_source_disable_unref(source); }
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    void call() noexcept {
        // The function may destroy this object: keep what runs.
        const std::function<void()> function = function_;
        try {
            function();
        } catch (const std::exception& error) {
            base::log_error("{}", base::error_chain(error));
        }
    }
    sd_event_source* source = nullptr;

private:
    std::function<void()> function_;
};

int on_readable(sd_event_source*, int, std::uint32_t, void* data) {
    static_cast<Source*>(data)->call();
    return 0;
}

int on_timer(sd_event_source*, std::uint64_t, void* data) {
    static_cast<Source*>(data)->call();
    return 0;
}

} // namespace

EventLoop::EventLoop() {
    check_event(sd_event_new(&event_), "sd_event_new");
    // sd-event takes them from a signalfd, which wants them blocked.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    base::check(::sigprocmask(SIG_BLOCK, &signals, nullptr), "sigprocmask");
    check_event(sd_event_add_signal(event_, nullptr, SIGTERM, nullptr, nullptr), "watch SIGTERM");
    check_event(sd_event_add_signal(event_, nullptr, SIGINT, nullptr, nullptr), "watch SIGINT");
}

EventLoop::~EventLoop() {
    sd_event_unref(event_);
}

std::unique_ptr<EventLoop::Watch> EventLoop::watch_readable(int fd, std::function<void()> function) {
    auto source = std::make_unique<Source>(std::move(function));
    check_event(sd_event_add_io(event_, &source->source, fd, EPOLLIN, on_readable, source.get()), "watch a descriptor");
    return source;
}

std::unique_ptr<EventLoop::Watch> EventLoop::after(std::chrono::milliseconds delay, std::function<void()> function) {
    auto source = std::make_unique<Source>(std::move(function));
    const auto usec = static_cast<std::uint64_t>(std::chrono::microseconds(delay).count());
    check_event(sd_event_add_time_relative(event_, &source->source, CLOCK_BOOTTIME, usec, 0, on_timer, source.get()),
                "set a timer");
    return source;
}

void EventLoop::run() {
    check_event(sd_event_loop(event_), "event loop");
}

void EventLoop::quit() {
    check_event(sd_event_exit(event_, 0), "leave the event loop");
}

} // namespace updater
