// Runs a function when the scope ends, unless dismissed.
#pragma once
#include <utility>

namespace base {

template <typename F>
class [[nodiscard]] ScopeExit {
public:
    explicit ScopeExit(F function) noexcept : function_(std::move(function)) {}
    ScopeExit(const ScopeExit&) = delete;
    ScopeExit& operator=(const ScopeExit&) = delete;
    ~ScopeExit() {
        if (armed_)
            function_();
    }
    void dismiss() noexcept { armed_ = false; }

private:
    F function_;
    bool armed_ = true;
};

} // namespace base
