#include "base/sha256.hpp"

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

namespace base {

// By the functions of the digest itself: those of EVP are what OpenSSL 3 prefers, and would take all of libcrypto into
// a static program (ocirun).
struct Sha256::Context {
    SHA256_CTX state{};
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
    SHA256_Init(&context_->state); // cannot fail, nor can the others
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view data) {
    SHA256_Update(&context_->state, data.data(), data.size());
}

Sha256::Digest Sha256::finish() {
    Digest digest{};
    SHA256_Final(digest.data(), &context_->state);
    return digest;
}

std::string Sha256::finish_hex() {
    return to_hex(finish());
}

std::string sha256_hex(std::string_view data) {
    Sha256 hash;
    hash.update(data);
    return hash.finish_hex();
}

} // namespace base
