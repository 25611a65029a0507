#include "text.hpp"

#include <cstring>

namespace init {

TextBuffer& TextBuffer::add(std::string_view text) noexcept {
    const std::size_t room = capacity_ - 1 - size_;
    const std::size_t count = text.size() < room ? text.size() : room;
    if (count > 0)
        std::memcpy(data_ + size_, text.data(), count);
    size_ += count;
    data_[size_] = '\0';
    truncated_ = truncated_ || count < text.size();
    return *this;
}

TextBuffer& TextBuffer::add(Errno error) noexcept {
    // strerrordesc_np: static text, no locale, no allocation.
    if (const char* text = strerrordesc_np(error.value))
        return add(text);
    return add("error ").add(error.value);
}

TextBuffer& TextBuffer::add(Hex number) noexcept {
    char digits[16];
    for (std::size_t i = 0; i < 16; ++i)
        digits[i] = "0123456789abcdef"[(number.value >> (60 - 4 * i)) & 15];
    return add(std::string_view(digits, sizeof digits));
}

TextBuffer& TextBuffer::add_number(std::uint64_t number, bool negative) noexcept {
    char digits[21];
    std::size_t start = sizeof digits;
    do {
        digits[--start] = static_cast<char>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    if (negative)
        digits[--start] = '-';
    return add(std::string_view(digits + start, sizeof digits - start));
}

std::string_view skip(std::string_view text, std::size_t count) noexcept {
    text.remove_prefix(count < text.size() ? count : text.size());
    return text;
}

std::optional<std::string_view> next_part(std::string_view& rest, char separator) noexcept {
    if (rest.data() == nullptr)
        return std::nullopt;
    const std::size_t end = rest.find(separator);
    if (end == std::string_view::npos) {
        const std::string_view part = rest;
        rest = {};
        return part;
    }
    const std::string_view part(rest.data(), end);
    rest.remove_prefix(end + 1);
    return part;
}

std::string_view trimmed(std::string_view text) noexcept {
    constexpr std::string_view blanks = " \t\r\n";
    while (!text.empty() && blanks.find(text.front()) != std::string_view::npos)
        text.remove_prefix(1);
    while (!text.empty() && blanks.find(text.back()) != std::string_view::npos)
        text.remove_suffix(1);
    return text;
}

std::optional<std::uint64_t> parse_number(std::string_view text) noexcept {
    if (text.empty())
        return std::nullopt;
    std::uint64_t number = 0;
    for (const char character : text) {
        if (character < '0' || character > '9')
            return std::nullopt;
        const auto digit = static_cast<std::uint64_t>(character - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return std::nullopt;
        number = number * 10 + digit;
    }
    return number;
}

void copy_text(char* destination, std::size_t size, std::string_view text) noexcept {
    TextBuffer(destination, size).add(text);
}

} // namespace init
