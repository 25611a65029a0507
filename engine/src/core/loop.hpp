// The engine's one event thread: descriptors that become readable, and timers. Nothing called from it may block; work
// that does is handed to Tasks.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "base/unique_fd.hpp"

namespace engine {

class Loop {
public:
    using Clock = std::chrono::steady_clock;
    using TimerId = std::uint64_t;

    Loop();
    ~Loop(); ///< stop()
    void start();
    void stop() noexcept;

    /// Calls `ready` in the loop's thread whenever `fd` is readable or hung up, until unwatch. The descriptor is kept
    /// open by what `ready` captures.
    void watch(int fd, std::function<void()> ready);
    void unwatch(int fd) noexcept;

    /// Calls once. 0 is never an id.
    TimerId after(std::chrono::milliseconds delay, std::function<void()> call);
    void cancel(TimerId id) noexcept;

    /// Grows at least once a second while the loop is not stuck.
    std::uint64_t turns() const noexcept { return turns_.load(std::memory_order_relaxed); }

private:
    void run();
    int run_timers();
    void wake() noexcept;

    base::UniqueFd epoll_, wake_;
    std::mutex mutex_;
    std::map<int, std::shared_ptr<std::function<void()>>> watched_;
    std::map<std::pair<Clock::time_point, TimerId>, std::function<void()>> timers_;
    std::map<TimerId, Clock::time_point> timer_times_;
    TimerId next_timer_ = 1;
    std::atomic<bool> stopping_ = false;
    std::atomic<std::uint64_t> turns_ = 0;
    std::thread thread_;
};

/// Work that blocks: each in a thread of its own. Its number is bounded by what it is used for (an end and a health
/// check of each container at a time).
class Tasks {
public:
    ~Tasks() { join(); }
    /// An exception of `work` is logged.
    void start(std::function<void()> work);
    /// Waits until all have ended; start does nothing from then on.
    void join() noexcept;

private:
    std::mutex mutex_;
    std::condition_variable ended_;
    std::size_t running_ = 0;
    bool closed_ = false;
};

} // namespace engine
