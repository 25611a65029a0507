#include "updater/kernel_arguments.hpp"

#include "base/error.hpp"
#include "updater/boot_text.hpp"

namespace updater {

namespace {

/// libostree writes its own `ostree=`; the others are the boot loader's, or ours to set.
constexpr std::array<std::string_view, 4> reserved{"ostree", "atoll.rev", "BOOT_IMAGE", "initrd"};
constexpr std::size_t max_argument = 512;
/// COMMAND_LINE_SIZE of x86 is 2048, and a longer line is cut off; GRUB's BOOT_IMAGE=, ours and libostree's need 300.
constexpr std::size_t max_line = 1700;

using Arguments = std::vector<std::string>;

Arguments named(const Arguments& arguments, std::string_view name) {
    Arguments result;
    std::copy_if(arguments.begin(), arguments.end(), std::back_inserter(result),
                 [&](const std::string& argument) { return argument_name(argument) == name; });
    return result;
}

/// `from` without one occurrence of each of `taken`.
Arguments without(Arguments from, const Arguments& taken) {
    for (const std::string& argument : taken) {
        if (const auto found = std::find(from.begin(), from.end(), argument); found != from.end())
            from.erase(found);
    }
    return from;
}

void append(Arguments& to, const Arguments& from) {
    to.insert(to.end(), from.begin(), from.end());
}

/// One name's arguments, each list in its own order.
Arguments merge_name(const Arguments& before, const Arguments& here, const Arguments& after, bool& conflict) {
    if (here == before || here == after)
        return after;
    if (after == before)
        return here;
    const Arguments deleted = without(before, here);
    const Arguments added = without(here, before);
    const bool image_added = !without(after, before).empty();
    if (image_added && !deleted.empty() && (!added.empty() || here.empty())) {
        conflict = true; // both gave it another value, or the host took away what the image gives another value
        return here;
    }
    Arguments merged = without(after, deleted);
    append(merged, without(added, after));
    return merged;
}

[[noreturn]] void refuse(const ArgumentChange& change, const std::string& why) {
    throw base::Error(
        fmt::format("kernel argument: {} '{}': {}", to_string(change.kind), plain_text(change.argument, 200), why));
}

/// The argument that "NAME" or "NAME=VALUE" stands for.
Arguments::iterator find_one(Arguments& arguments, const ArgumentChange& change, std::string_view text, bool strict) {
    if (const auto exact = std::find(arguments.begin(), arguments.end(), text); exact != arguments.end())
        return exact;
    if (text.find('=') == std::string_view::npos) {
        const Arguments all = named(arguments, text);
        if (all.size() == 1)
            return std::find(arguments.begin(), arguments.end(), all.front());
        if (all.size() > 1 && strict)
            refuse(change, fmt::format("there are {} of that name; give the value too", all.size()));
    }
    if (strict)
        refuse(change, "there is none");
    return arguments.end();
}

void replace(Arguments& arguments, const ArgumentChange& change, bool strict) {
    const std::string& text = change.argument;
    const std::size_t first = text.find('=');
    const std::size_t second = text.find('=', first + 1);
    const std::string name = text.substr(0, first);
    // "NAME=OLD=NEW" when there is such an OLD; else the value has an '=' of its own.
    if (second != std::string::npos) {
        const auto found = std::find(arguments.begin(), arguments.end(), text.substr(0, second));
        if (found != arguments.end()) {
            *found = name + text.substr(second);
            return;
        }
    }
    if (const auto found = find_one(arguments, change, name, strict); found != arguments.end())
        *found = text;
}

} // namespace

std::string_view to_string(ArgumentChange::Kind kind) noexcept {
    switch (kind) {
    case ArgumentChange::Kind::append:
        return "append";
    case ArgumentChange::Kind::remove:
        return "delete";
    case ArgumentChange::Kind::replace:
        return "replace";
    }
    return "";
}

std::optional<ArgumentChange::Kind> argument_change_kind(std::string_view text) noexcept {
    for (const auto kind :
         {ArgumentChange::Kind::append, ArgumentChange::Kind::remove, ArgumentChange::Kind::replace}) {
        if (to_string(kind) == text)
            return kind;
    }
    return std::nullopt;
}

std::vector<std::string> split_arguments(std::string_view options) {
    Arguments arguments;
    while (!options.empty()) {
        const std::size_t end = std::min(options.find_first_of(" \n\t"), options.size());
        if (end > 0)
            arguments.emplace_back(options.substr(0, end));
        options.remove_prefix(std::min(end + 1, options.size()));
    }
    return arguments;
}

std::string_view argument_name(std::string_view argument) noexcept {
    return argument.substr(0, argument.find('='));
}

bool is_reserved_argument(std::string_view argument) noexcept {
    return std::find(reserved.begin(), reserved.end(), argument_name(argument)) != reserved.end();
}

void require_valid_change(const ArgumentChange& change) {
    const std::string& text = change.argument;
    const std::string_view name = argument_name(text);
    if (name.empty() || text.size() > max_argument)
        refuse(change, fmt::format("expected NAME or NAME=VALUE of at most {} characters", max_argument));
    require_safe_boot_text(text, "kernel argument");
    if (text.find(' ') != std::string::npos)
        refuse(change, "one argument has no space; give several one after the other");
    if (is_reserved_argument(text))
        refuse(change, "it is the updater's own");
    if (name == "root")
        refuse(change, "without the root file system that the image names nothing boots");
    if (change.kind == ArgumentChange::Kind::replace && text.find('=') == std::string::npos)
        refuse(change, "expected NAME=VALUE or NAME=OLD=NEW");
}

std::vector<std::string> change_arguments(std::vector<std::string> arguments,
                                          const std::vector<ArgumentChange>& changes, bool strict) {
    for (const ArgumentChange& change : changes) {
        switch (change.kind) {
        case ArgumentChange::Kind::append:
            arguments.push_back(change.argument);
            break;
        case ArgumentChange::Kind::remove:
            if (const auto found = find_one(arguments, change, change.argument, strict); found != arguments.end())
                arguments.erase(found);
            break;
        case ArgumentChange::Kind::replace:
            replace(arguments, change, strict);
            break;
        }
    }
    return arguments;
}

void require_fitting_arguments(const std::vector<std::string>& arguments) {
    std::size_t size = 0;
    for (const std::string& argument : arguments)
        size += argument.size() + 1;
    if (size > max_line)
        throw base::Error(
            fmt::format("kernel arguments: {} characters in all, and the kernel has room for {}; it would "
                        "cut them off",
                        size, max_line));
}

MergedArguments merge_arguments(const std::vector<std::string>& before, const std::vector<std::string>& here,
                                const std::vector<std::string>& after) {
    MergedArguments merged;
    std::vector<std::string> names;
    for (const Arguments* list : {&here, &after}) {
        for (const std::string& argument : *list) {
            const std::string name(argument_name(argument));
            if (!is_reserved_argument(argument) && std::find(names.begin(), names.end(), name) == names.end())
                names.push_back(name);
        }
    }
    for (const std::string& name : names) {
        bool conflict = false;
        append(merged.arguments, merge_name(named(before, name), named(here, name), named(after, name), conflict));
        if (conflict)
            merged.conflicts.push_back(name);
    }
    return merged;
}

} // namespace updater
