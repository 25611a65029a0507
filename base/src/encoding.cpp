// Hexadecimal and base64 text (declared in sha256.hpp with the digests they spell).
#include "base/error.hpp"
#include "base/sha256.hpp"

namespace base {
namespace {

constexpr std::string_view base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::uint32_t base64_value(char c) {
    const auto index = base64_alphabet.find(c);
    if (index == std::string_view::npos)
        throw Error("base64: bad character");
    return static_cast<std::uint32_t>(index);
}

} // namespace

std::string to_hex(std::span<const std::uint8_t> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const std::uint8_t byte : bytes) {
        text += digits[byte >> 4U];
        text += digits[byte & 15U];
    }
    return text;
}

bool is_sha256_hex(std::string_view text) noexcept {
    return text.size() == 64 && std::all_of(text.begin(), text.end(),
                                            [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string base64_encode(std::string_view bytes) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 3; ++j)
            group = group << 8U | (j < count ? static_cast<std::uint8_t>(bytes[i + j]) : 0U);
        for (std::size_t j = 0; j < 4; ++j)
            text += j <= count ? base64_alphabet[group >> (18 - 6 * j) & 63U] : '=';
    }
    return text;
}

std::string base64_decode(std::string_view text) {
    if (text.size() % 4 != 0)
        throw Error("base64: length is not a multiple of four");
    std::string bytes;
    bytes.reserve(text.size() / 4 * 3);
    for (std::size_t i = 0; i < text.size(); i += 4) {
        const bool last = i + 4 == text.size();
        const std::size_t padding = last && text[i + 3] == '=' ? (text[i + 2] == '=' ? 2 : 1) : 0;
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 4; ++j)
            group = group << 6U | (j < 4 - padding ? base64_value(text[i + j]) : 0U);
        // Left-over bits must be zero, or two texts would spell the same bytes.
        if ((padding == 1 && (group & 0xffU) != 0) || (padding == 2 && (group & 0xffffU) != 0))
            throw Error("base64: bad padding");
        for (std::size_t j = 0; j < 3 - padding; ++j)
            bytes += static_cast<char>(group >> (16 - 8 * j) & 0xffU);
    }
    return bytes;
}

} // namespace base
