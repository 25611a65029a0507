// The frame of every command line program: exit codes, error text, version.
#pragma once
#include <functional>
#include <string>

namespace base {

/// "0.1.0"
const char* version() noexcept;

/// A mistake on the command line that the argument parser does not see: exit code 2.
class UsageError : public std::exception {
public:
    explicit UsageError(std::string message) : message_(std::move(message)) {}
    const char* what() const noexcept override { return message_.c_str(); }

private:
    std::string message_;
};

/// Runs `body` and returns its exit code; an exception becomes "PROGRAM: chain of messages" on standard error and
/// exit code 1, a UsageError exit code 2. SIGPIPE is ignored.
int run_main(const std::string& program, const std::function<int()>& body) noexcept;

} // namespace base
