// ed25519 keys and signatures (RFC 8032), in the files that upstream `ostree sign` reads.
#pragma once
#include <string>
#include <string_view>

namespace image {

/// A secret key file holds the base64 of 64 bytes: the seed and the public key.
class SigningKey {
public:
    static SigningKey generate();
    /// Throws base::Error "PATH: reason"; also when the public half does not belong to the seed, or when others
    /// than its owner can read the file.
    static SigningKey load(const std::string& path);
    static SigningKey parse(std::string_view text, const std::string& name);

    ~SigningKey();
    SigningKey(SigningKey&&) noexcept = default;
    SigningKey& operator=(SigningKey&&) noexcept = default;

    /// 64 raw bytes.
    std::string sign(std::string_view message) const;
    std::string public_key_base64() const;
    std::string secret_key_base64() const;

private:
    SigningKey(std::string seed, std::string public_key) : seed_(std::move(seed)), public_key_(std::move(public_key)) {}
    std::string seed_;
    std::string public_key_;
};

/// Whether `signature` over `message` is of the key whose 32 raw bytes are `public_key`.
bool verify_ed25519(std::string_view public_key, std::string_view message, std::string_view signature);

} // namespace image
