#include "steps.hpp"

#include <unistd.h>

#include <cstdio>

#include "base/error.hpp"

namespace qemu {

void Steps::run(const std::string& name, const std::function<void()>& step) {
    run_with_result(name, [&step] {
        step();
        return std::string();
    });
}

void Steps::run_with_result(const std::string& name, const std::function<std::string()>& step) {
    using Clock = std::chrono::steady_clock;
    const auto seconds = [](Clock::duration time) {
        return std::chrono::duration<double>(time).count();
    };
    const bool terminal = ::isatty(STDOUT_FILENO) == 1;
    const auto begin = Clock::now();
    const auto print = [&](const std::string& outcome) {
        fmt::print("{}[{:6.1f} s] {:<58} {}\n", terminal ? "\r\033[K" : "", seconds(Clock::now() - start_), name,
                   outcome);
        std::fflush(stdout);
    };
    if (terminal) {
        fmt::print("[{:6.1f} s] {} ...", seconds(begin - start_), name);
        std::fflush(stdout);
    }
    std::string result;
    try {
        result = step();
    } catch (const std::exception&) {
        print(fmt::format("FAILED after {:.1f} s", seconds(Clock::now() - begin)));
        std::throw_with_nested(base::Error(name));
    }
    print(fmt::format("{:5.1f} s{}{}", seconds(Clock::now() - begin), result.empty() ? "" : "  ", result));
}

} // namespace qemu
