// The command line of ocirun, as runc and crun have it. Not CLI11: the program runs for every container, and this
// parser costs nothing.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace ocirun {

struct Option {
    std::string_view name;  ///< without the dashes
    char letter;            ///< 0: none
    std::string_view value; ///< its name in the help; empty: the option is a flag
    std::string_view help;
};

struct Command {
    std::string_view name;
    std::string_view arguments; ///< for the help
    std::string_view help;
    std::vector<Option> options;
};

/// What was given of one command's options, and the rest. Throws base::UsageError.
class Arguments {
public:
    /// Options end at the first argument that is none, or at "--".
    Arguments(const std::vector<Option>& options, const std::vector<std::string>& words, std::string_view where);
    bool has(std::string_view name) const;
    /// The last one given; empty when none.
    std::string get(std::string_view name) const;
    std::vector<std::string> all(std::string_view name) const;
    unsigned number(std::string_view name) const; ///< 0 when not given
    const std::vector<std::string>& rest() const noexcept { return rest_; }

private:
    std::vector<std::pair<std::string_view, std::string>> given_;
    std::vector<std::string> rest_;
};

std::string help_of(const std::vector<Option>& options);

} // namespace ocirun
