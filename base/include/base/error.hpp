// The one exception type of daemons and tools.
#pragma once
#include <cerrno>
#include <exception>
#include <string>
#include <system_error>
#include <utility>

namespace base {

/// A failed operation on a named object: what() is "operation object: reason", e.g.
/// "mount overlay on /run/x: Invalid argument". Lower case, no full stop.
class Error : public std::system_error {
public:
    /// A failed system call; `error` is an errno value.
    Error(int error, const std::string& operation) : std::system_error(error, std::generic_category(), operation) {}
    /// A failure that is not errno's: bad input, a refused request.
    explicit Error(std::string message)
        : std::system_error(EINVAL, std::generic_category()), message_(std::move(message)) {}

    const char* what() const noexcept override {
        return message_.empty() ? std::system_error::what() : message_.c_str();
    }
    /// The errno value, EINVAL for failures that have none.
    int error() const noexcept { return code().value(); }

private:
    std::string message_;
};

/// Throws Error with the current errno.
[[noreturn]] void throw_errno(const std::string& operation);

/// Throws Error(errno) when `result` is negative; returns it otherwise.
template <typename T>
T check(T result, const std::string& operation) {
    if (result < 0)
        throw_errno(operation);
    return result;
}

/// The messages of an exception and everything nested in it, outermost first, joined by ": ".
std::string error_chain(const std::exception& error);

/// Calls `function`; what it throws is nested in an Error that says `context`.
template <typename F>
auto with_context(const std::string& context, F&& function) -> decltype(function()) {
    try {
        return std::forward<F>(function)();
    } catch (const std::exception&) {
        std::throw_with_nested(Error(context));
    }
}

} // namespace base
