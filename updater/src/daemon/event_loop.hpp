// The daemon's one thread: descriptors and timers, on sd-event, whose header stays in the .cpp.
#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <memory>

struct sd_event;

namespace updater {

class EventLoop {
public:
    EventLoop();
    ~EventLoop();

    /// Calls `function` whenever the descriptor is readable, until the watch is destroyed. The descriptor stays the
    /// caller's and outlives the watch.
    class Watch {
    public:
        virtual ~Watch() = default;
    };
    std::unique_ptr<Watch> watch_readable(int fd, std::function<void()> function);
    /// Calls `function` once after `delay`, unless the watch is destroyed before.
    std::unique_ptr<Watch> after(std::chrono::milliseconds delay, std::function<void()> function);

    /// Until quit(), SIGTERM or SIGINT.
    void run();
    void quit();
    sd_event* get() const noexcept { return event_; }

private:
    sd_event* event_ = nullptr;
};

} // namespace updater
