#include "updater/boot_text.hpp"

#include <sys/random.h>

#include "base/error.hpp"
#include "base/sha256.hpp"

namespace updater {

namespace {

constexpr std::string_view safe_punctuation = " -_.,:/=+@%()~[]";

/// libostree writes its own `ostree=`; the others are the boot loader's, or ours to set.
constexpr std::array<std::string_view, 4> replaced_arguments{"ostree=", "BOOT_IMAGE=", "initrd=", "atoll.rev="};

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

bool is_safe(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
           safe_punctuation.find(c) != std::string_view::npos;
}

std::string_view take_number(std::string_view& text) noexcept {
    std::size_t end = 0;
    while (end < text.size() && is_digit(text[end]))
        ++end;
    std::string_view number = text.substr(0, end);
    text.remove_prefix(end);
    number.remove_prefix(std::min(number.find_first_not_of('0'), number.size()));
    return number;
}

} // namespace

bool is_safe_boot_text(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), is_safe);
}

void require_safe_boot_text(std::string_view text, const std::string& what) {
    const auto bad = std::find_if_not(text.begin(), text.end(), is_safe);
    if (bad == text.end())
        return;
    throw base::Error(fmt::format("{}: character {} must not be in a boot entry, which GRUB reads as a script: \"{}\"",
                                  what,
                                  *bad > ' ' && *bad < 0x7f ? fmt::format("'{}'", *bad)
                                                            : fmt::format("0x{:02x}", static_cast<unsigned char>(*bad)),
                                  plain_text(text, 200)));
}

std::vector<std::string> next_kernel_arguments(std::string_view options, std::string_view revision) {
    std::vector<std::string> arguments;
    while (!options.empty()) {
        const std::size_t end = std::min(options.find(' '), options.size());
        const std::string_view word = options.substr(0, end);
        options.remove_prefix(std::min(end + 1, options.size()));
        const auto names = [&](std::string_view prefix) {
            return word.starts_with(prefix);
        };
        if (word.empty() || std::any_of(replaced_arguments.begin(), replaced_arguments.end(), names))
            continue;
        require_safe_boot_text(word, "kernel argument");
        arguments.emplace_back(word);
    }
    arguments.push_back(fmt::format("atoll.rev={}", revision));
    return arguments;
}

std::string draw_revision() {
    std::array<std::uint8_t, 8> bytes{};
    // Up to 256 bytes are given whole or not at all (getrandom(2)).
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        base::throw_errno("getrandom");
    return base::to_hex(bytes);
}

bool is_revision(std::string_view text) noexcept {
    return text.size() == 16 &&
           std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

std::string os_release_value(std::string_view text, std::string_view key) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.size() <= key.size() || !line.starts_with(key) || line[key.size()] != '=')
            continue;
        line.remove_prefix(key.size() + 1);
        if (line.size() >= 2 && (line.front() == '"' || line.front() == '\'') && line.back() == line.front())
            line = line.substr(1, line.size() - 2);
        return std::string(line);
    }
    return {};
}

void require_safe_os_release(std::string_view text, const std::string& what) {
    for (const char* key : {"PRETTY_NAME", "NAME", "ID", "VERSION"})
        require_safe_boot_text(os_release_value(text, key), fmt::format("{}: {}", what, key));
}

std::string plain_text(std::string_view text, std::size_t limit) {
    std::string plain(text.substr(0, limit));
    for (char& c : plain) {
        if (c == '\t' || c == '\n')
            c = ' ';
        else if (c < ' ' || c > '~')
            c = '?';
    }
    return plain;
}

int compare_versions(std::string_view left, std::string_view right) noexcept {
    while (!left.empty() && !right.empty()) {
        if (is_digit(left.front()) && is_digit(right.front())) {
            const std::string_view a = take_number(left);
            const std::string_view b = take_number(right);
            if (a.size() != b.size())
                return a.size() < b.size() ? -1 : 1;
            if (const int order = a.compare(b); order != 0)
                return order;
        } else {
            if (left.front() != right.front() && (left.front() == '~' || right.front() == '~'))
                return left.front() == '~' ? -1 : 1;
            if (left.front() != right.front())
                return static_cast<unsigned char>(left.front()) < static_cast<unsigned char>(right.front()) ? -1 : 1;
            left.remove_prefix(1);
            right.remove_prefix(1);
        }
    }
    // "1.0~rc1" is before "1.0", as in Debian.
    if (!left.empty())
        return left.front() == '~' ? -1 : 1;
    if (!right.empty())
        return right.front() == '~' ? 1 : -1;
    return 0;
}

} // namespace updater
