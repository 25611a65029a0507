#include "kernel_arguments.hpp"

#include "files.hpp"
#include "log.hpp"

namespace init {

namespace {

constexpr std::uint64_t max_seconds = UINT64_C(7) * 24 * 3600;

/// Cuts the next word off, as the kernel's next_arg(): blanks separate, double quotes protect them.
std::string_view next_word(std::string_view& rest) noexcept {
    while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\t' || rest.front() == '\n'))
        rest.remove_prefix(1);
    std::size_t end = 0;
    bool quoted = false;
    for (; end < rest.size(); ++end) {
        if (rest[end] == '"')
            quoted = !quoted;
        else if (!quoted && (rest[end] == ' ' || rest[end] == '\t' || rest[end] == '\n'))
            break;
    }
    const std::string_view word(rest.data(), end);
    rest.remove_prefix(end);
    return word;
}

std::string_view unquoted(std::string_view text) noexcept {
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
        text.remove_prefix(1);
        text.remove_suffix(1);
    }
    return text;
}

template <std::size_t N>
void take(Text<N>& field, std::string_view value) noexcept {
    field.assign(value);
    if (field.truncated()) // half a path is worse than none
        field.clear();
}

void take_seconds(std::int64_t& field, std::string_view value) noexcept {
    const bool negative = value.starts_with('-');
    const auto number = parse_number(negative ? skip(value, 1) : value);
    if (number && *number <= max_seconds)
        field = negative ? -static_cast<std::int64_t>(*number) : static_cast<std::int64_t>(*number);
}

} // namespace

KernelArguments KernelArguments::parse(std::string_view line) noexcept {
    KernelArguments arguments;
    std::string_view rest = line;
    for (;;) {
        const std::string_view word = unquoted(next_word(rest));
        if (word.empty() && rest.empty())
            break;
        if (word == "--")
            break;
        const std::size_t equals = word.find('=');
        const std::string_view key(word.data(), equals == std::string_view::npos ? word.size() : equals);
        const std::string_view value =
            equals == std::string_view::npos ? std::string_view() : unquoted(skip(word, equals + 1));
        if (key == "root")
            take(arguments.root, value);
        else if (key == "rootfstype")
            take(arguments.root_type, value);
        else if (key == "ostree")
            take(arguments.deployment, value);
        else if (key == "atoll.rev")
            take(arguments.revision, value);
        else if (key == "atoll.rescue")
            arguments.rescue = value != "0";
        else if (key == "panic")
            take_seconds(arguments.panic_seconds, value);
        else if (key == "atoll.trial") {
            if (const auto number = parse_number(value); number && *number <= max_seconds)
                arguments.trial_seconds = *number;
        }
    }
    if (arguments.root_type.empty())
        arguments.root_type.assign("ext4");
    return arguments;
}

KernelArguments KernelArguments::read() noexcept {
    Text<4097> line; // the kernel's COMMAND_LINE_SIZE is 2048 on x86-64
    if (const int error = read_text("/proc/cmdline", line); error != 0)
        log_error("read /proc/cmdline: ", Errno{error});
    return parse(line.view());
}

} // namespace init
