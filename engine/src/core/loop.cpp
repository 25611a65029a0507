#include "core/loop.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/error.hpp"
#include "base/log.hpp"

namespace engine {

namespace {
void call_logged(const std::function<void()>& function) noexcept {
    try {
        function();
    } catch (const std::exception& error) {
        base::log_error("{}", base::error_chain(error));
    }
}
} // namespace

Loop::Loop()
    : epoll_(base::check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      wake_(base::check(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = wake_.get();
    base::check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event), "epoll_ctl");
}

Loop::~Loop() {
    stop();
}

void Loop::start() {
    thread_ = std::thread([this] { run(); });
}

void Loop::stop() noexcept {
    stopping_ = true;
    wake();
    if (thread_.joinable())
        thread_.join();
}

void Loop::watch(int fd, std::function<void()> ready) {
    std::lock_guard lock(mutex_);
    watched_[fd] = std::make_shared<std::function<void()>>(std::move(ready));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) < 0) {
        const int error = errno;
        watched_.erase(fd);
        throw base::Error(error, "epoll_ctl");
    }
}

void Loop::unwatch(int fd) noexcept {
    std::shared_ptr<std::function<void()>> removed; // destroyed without the lock: it may own much
    std::lock_guard lock(mutex_);
    if (const auto found = watched_.find(fd); found != watched_.end()) {
        removed = std::move(found->second);
        watched_.erase(found);
        (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    }
}

Loop::TimerId Loop::after(std::chrono::milliseconds delay, std::function<void()> call) {
    TimerId id;
    {
        std::lock_guard lock(mutex_);
        id = next_timer_++;
        const auto time = Clock::now() + delay;
        timers_.emplace(std::pair(time, id), std::move(call));
        timer_times_.emplace(id, time);
    }
    wake();
    return id;
}

void Loop::cancel(TimerId id) noexcept {
    std::lock_guard lock(mutex_);
    if (const auto found = timer_times_.find(id); found != timer_times_.end()) {
        timers_.erase({found->second, id});
        timer_times_.erase(found);
    }
}

/// Returns the milliseconds to the next timer, at most 1000.
int Loop::run_timers() {
    for (;;) {
        std::function<void()> call;
        {
            std::lock_guard lock(mutex_);
            if (timers_.empty())
                return 1000;
            const auto first = timers_.begin();
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(first->first.first - Clock::now()).count();
            if (left > 0)
                return static_cast<int>(std::min<std::int64_t>(left, 1000));
            call = std::move(first->second);
            timer_times_.erase(first->first.second);
            timers_.erase(first);
        }
        call_logged(call);
    }
}

void Loop::run() {
    while (!stopping_) {
        turns_.fetch_add(1, std::memory_order_relaxed);
        const int timeout = run_timers();
        epoll_event events[16];
        const int count = ::epoll_wait(epoll_.get(), events, 16, timeout);
        for (int i = 0; i < count; ++i) {
            if (events[i].data.fd == wake_.get()) {
                std::uint64_t ignored;
                (void)!::read(wake_.get(), &ignored, sizeof ignored);
                continue;
            }
            std::shared_ptr<std::function<void()>> ready;
            {
                std::lock_guard lock(mutex_);
                if (const auto found = watched_.find(events[i].data.fd); found != watched_.end())
                    ready = found->second;
            }
            if (ready)
                call_logged(*ready);
        }
    }
}

void Loop::wake() noexcept {
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
}

void Tasks::start(std::function<void()> work) {
    {
        std::lock_guard lock(mutex_);
        if (closed_)
            return;
        ++running_;
    }
    try {
        std::thread([this, work = std::move(work)] {
            call_logged(work);
            std::lock_guard lock(mutex_);
            --running_;
            ended_.notify_all();
        }).detach();
    } catch (const std::system_error& error) {
        std::lock_guard lock(mutex_);
        --running_;
        base::log_error("start a thread: {}", error.what());
    }
}

void Tasks::join() noexcept {
    std::unique_lock lock(mutex_);
    closed_ = true;
    ended_.wait(lock, [&] { return running_ == 0; });
}

} // namespace engine
