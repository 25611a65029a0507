#include "image/signing_key.hpp"

#include <sys/stat.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <memory>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/sha256.hpp"

namespace image {
namespace {

constexpr std::size_t key_size = 32;
constexpr std::size_t signature_size = 64;

struct KeyFree {
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
struct ContextFree {
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, KeyFree>;
using Context = std::unique_ptr<EVP_MD_CTX, ContextFree>;

const unsigned char* bytes(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

Key private_key(std::string_view seed) {
    Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes(seed), seed.size()));
    if (!key)
        throw base::Error("ed25519: bad secret key");
    return key;
}

std::string public_half(std::string_view seed) {
    const Key key = private_key(seed);
    std::string result(key_size, '\0');
    std::size_t size = result.size();
    if (EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(result.data()), &size) != 1 ||
        size != key_size)
        throw base::Error("ed25519: no public key");
    return result;
}

std::string trimmed(std::string_view text) {
    const std::size_t end = text.find_last_not_of(" \t\r\n");
    return std::string(text.substr(0, end == std::string_view::npos ? 0 : end + 1));
}

} // namespace

SigningKey::~SigningKey() {
    OPENSSL_cleanse(seed_.data(), seed_.size());
}

SigningKey SigningKey::generate() {
    std::string seed(key_size, '\0');
    if (RAND_priv_bytes(reinterpret_cast<unsigned char*>(seed.data()), static_cast<int>(seed.size())) != 1)
        throw base::Error("ed25519: no random bytes");
    std::string public_key = public_half(seed);
    return {std::move(seed), std::move(public_key)};
}

SigningKey SigningKey::load(const std::string& path) {
    const base::UniqueFd fd = base::open_file(path, O_RDONLY | O_CLOEXEC);
    struct stat status {};
    base::check(::fstat(fd.get(), &status), "stat " + path);
    if ((status.st_mode & 077) != 0)
        throw base::Error(path + ": others can read this secret key; chmod 600 it");
    return parse(base::read_fd(fd.get(), 4096, path), path);
}

SigningKey SigningKey::parse(std::string_view text, const std::string& name) {
    return base::with_context(name + ": not an ed25519 secret key", [&] {
        std::string raw = base::base64_decode(trimmed(text));
        if (raw.size() != 2 * key_size)
            throw base::Error("expected 64 bytes in base64, got " + std::to_string(raw.size()));
        std::string seed = raw.substr(0, key_size);
        std::string public_key = raw.substr(key_size);
        OPENSSL_cleanse(raw.data(), raw.size());
        if (public_half(seed) != public_key)
            throw base::Error("its public half belongs to another key");
        return SigningKey(std::move(seed), std::move(public_key));
    });
}

std::string SigningKey::sign(std::string_view message) const {
    const Key key = private_key(seed_);
    const Context context(EVP_MD_CTX_new());
    std::string signature(signature_size, '\0');
    std::size_t size = signature.size();
    if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
        EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, bytes(message),
                       message.size()) != 1 ||
        size != signature_size)
        throw base::Error("ed25519: signing failed");
    return signature;
}

std::string SigningKey::public_key_base64() const {
    return base::base64_encode(public_key_);
}

std::string SigningKey::secret_key_base64() const {
    return base::base64_encode(seed_ + public_key_);
}

bool verify_ed25519(std::string_view public_key, std::string_view message, std::string_view signature) {
    if (public_key.size() != key_size || signature.size() != signature_size)
        return false;
    const Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes(public_key), public_key.size()));
    const Context context(EVP_MD_CTX_new());
    return key && context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
           EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(message), message.size()) == 1;
}

} // namespace image
