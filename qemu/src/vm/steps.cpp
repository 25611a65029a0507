#include "steps.hpp"

#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "base/error.hpp"

namespace qemu {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration time) {
    return std::chrono::duration<double>(time).count();
}

/// Shows on a terminal how long the step takes already, once a second until it goes.
class Ticker {
public:
    Ticker(const std::string& name, Clock::time_point start)
        : thread_([name, start, begin = Clock::now()](const std::stop_token& stop) {
              std::mutex mutex;
              std::condition_variable_any never;
              std::unique_lock lock(mutex);
              do {
                  const Clock::time_point now = Clock::now();
                  fmt::print("\r\033[K[{:6.1f} s] {} ... {:.0f} s", seconds(now - start), name, seconds(now - begin));
                  std::fflush(stdout);
              } while (!never.wait_for(lock, stop, std::chrono::seconds(1), [&stop] { return stop.stop_requested(); }));
          }) {}

private:
    std::jthread thread_;
};

} // namespace

void Steps::run(const std::string& name, const std::function<void()>& step) {
    const bool terminal = ::isatty(STDOUT_FILENO) == 1;
    const auto begin = Clock::now();
    std::optional<Ticker> ticker;
    if (terminal)
        ticker.emplace(name, start_);
    const auto print = [&](const char* outcome) {
        ticker.reset();
        fmt::print("{}[{:6.1f} s] {:<58} {}{:5.1f} s\n", terminal ? "\r\033[K" : "", seconds(Clock::now() - start_),
                   name, outcome, seconds(Clock::now() - begin));
        std::fflush(stdout);
    };
    try {
        step();
    } catch (const std::exception&) {
        print("FAILED after ");
        std::throw_with_nested(base::Error(name));
    }
    print("");
}

} // namespace qemu
