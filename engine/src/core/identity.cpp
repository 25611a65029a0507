#include "core/identity.hpp"

#include <signal.h>
#include <string.h>
#include <sys/random.h>

#include <cctype>
#include <charconv>

#include "base/error.hpp"

namespace engine {

std::string random_id() {
    static constexpr char digits[] = "0123456789abcdef";
    for (;;) {
        unsigned char bytes[32];
        if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
            base::throw_errno("getrandom");
        std::string id;
        for (const unsigned char byte : bytes) {
            id += digits[byte >> 4];
            id += digits[byte & 15];
        }
        if (id.find_first_of("abcdef") < 12)
            return id;
    }
}

bool valid_container_name(std::string_view name) noexcept {
    const auto alphanumeric = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    if (name.size() < 2 || name.size() > 128 || !alphanumeric(name.front()))
        return false;
    return std::all_of(name.begin(), name.end(),
                       [&](char c) { return alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

std::optional<int> parse_signal(std::string_view text) noexcept {
    int number = 0;
    const auto parse_number = [&](std::string_view digits) {
        const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), number);
        return !digits.empty() && result.ec == std::errc() && result.ptr == digits.data() + digits.size() &&
               number >= 0;
    };
    if (parse_number(text))
        return number >= 1 && number <= 64 ? std::optional(number) : std::nullopt;
    std::string upper;
    for (const char c : text)
        upper += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    std::string_view name = upper;
    if (name.starts_with("SIG"))
        name.remove_prefix(3);
    for (int candidate = 1; candidate < 32; ++candidate)
        if (const char* known = ::sigabbrev_np(candidate); known != nullptr && name == known)
            return candidate;
    // Real-time signals count from what glibc leaves to programs, as everywhere.
    if (name.starts_with("RTMIN+") && parse_number(name.substr(6)) && number <= 30)
        return 34 + number;
    if (name.starts_with("RTMAX-") && parse_number(name.substr(6)) && number <= 30)
        return 64 - number;
    if (name == "RTMIN" || name == "RTMAX")
        return name == "RTMIN" ? 34 : 64;
    return std::nullopt;
}

} // namespace engine
