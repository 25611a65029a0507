// Time as PID 1 sees it: milliseconds since the kernel started, time asleep included.
#pragma once
#include <ctime>

#include <cstdint>

namespace init {

using Msec = std::uint64_t;
inline constexpr Msec never = UINT64_MAX;

inline Msec now_msec() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<Msec>(now.tv_sec) * 1000 + static_cast<Msec>(now.tv_nsec) / 1'000'000;
}

inline std::uint64_t now_usec() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

inline void pause_msec(Msec duration) noexcept {
    timespec left{static_cast<time_t>(duration / 1000), static_cast<long>(duration % 1000) * 1'000'000};
    while (::nanosleep(&left, &left) != 0) {
    }
}

} // namespace init
