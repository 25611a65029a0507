#include "base/cli.hpp"

#include <csignal>
#include <cstdio>

#include "base/error.hpp"

namespace base {

const char* version() noexcept {
    return ATOLL_VERSION;
}

int run_main(const std::string& program, const std::function<int()>& body) noexcept {
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return body();
    } catch (const UsageError& error) {
        std::fprintf(stderr, "%s: %s\nTry '%s --help'.\n", program.c_str(), error.what(), program.c_str());
        return 2;
    } catch (const std::exception& error) {
        try {
            std::fprintf(stderr, "%s: %s\n", program.c_str(), error_chain(error).c_str());
        } catch (...) {
            std::fprintf(stderr, "%s: %s\n", program.c_str(), error.what());
        }
        return 1;
    } catch (...) {
        std::fprintf(stderr, "%s: unknown error\n", program.c_str());
        return 1;
    }
}

} // namespace base
