// How a program's command line ends when CLI11 could not read it, or was asked for help.
#pragma once
#include <CLI/CLI.hpp>

#include "base/cli.hpp"

namespace base {

/// Prints what there is to say and returns the exit code: 0 after help or version, 2 for a mistake. CLI11 finds the
/// help flag before it complains of words that it does not know: throws UsageError then, also when help was asked for.
inline int end_of_parse(const CLI::App& app, const CLI::ParseError& error) {
    for (const std::string& word : app.remaining(true)) {
        if (word != "--")
            throw UsageError("'" + word + "' is no command or option of it");
    }
    return app.exit(error) == 0 ? 0 : 2;
}

} // namespace base
