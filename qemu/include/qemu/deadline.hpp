// A point in time to wait until, and how it is given to poll(2).
#pragma once
#include <chrono>
#include <climits>

namespace qemu {

using Seconds = std::chrono::duration<double>;

class Deadline {
public:
    explicit Deadline(Seconds from_now)
        : end_(std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::nanoseconds>(from_now)) {}
    bool passed() const noexcept { return std::chrono::steady_clock::now() >= end_; }
    /// For poll(2): rounded up, at least 1 while there is time left, 0 when it has passed.
    int poll_milliseconds() const noexcept {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end_ - std::chrono::steady_clock::now()).count();
        return left <= 0 ? 0 : static_cast<int>(left < INT_MAX ? left : INT_MAX);
    }

private:
    std::chrono::steady_clock::time_point end_;
};

} // namespace qemu
