// SHA-256 and hexadecimal text.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace base {

/// Incremental SHA-256 (libcrypto).
class Sha256 {
public:
    using Digest = std::array<std::uint8_t, 32>;
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;
    void update(std::string_view data);
    Digest finish(); ///< once
    std::string finish_hex();

private:
    struct Context;
    std::unique_ptr<Context> context_;
};

/// 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view data);
std::string to_hex(std::span<const std::uint8_t> bytes);
/// True for exactly 64 digits 0-9a-f.
bool is_sha256_hex(std::string_view text) noexcept;

std::string base64_encode(std::string_view bytes);
/// Strict RFC 4648 section 4; throws Error.
std::string base64_decode(std::string_view text);

} // namespace base
