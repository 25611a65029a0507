// Progress for people: one line a step, with its time.
#pragma once
#include <chrono>
#include <functional>
#include <string>

namespace qemu {

class Steps {
public:
    /// Prints "NAME ...", runs the step and prints how long it took. What it throws comes out with the step's name.
    void run(const std::string& name, const std::function<void()>& step);

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

} // namespace qemu
