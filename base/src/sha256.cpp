#include "base/sha256.hpp"

#include <openssl/evp.h>

#include "base/error.hpp"

namespace base {

struct Sha256::Context {
    EVP_MD_CTX* md = EVP_MD_CTX_new();
    Context() {
        if (md == nullptr || EVP_DigestInit_ex(md, EVP_sha256(), nullptr) != 1)
            throw Error("sha256: cannot initialise libcrypto");
    }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
    ~Context() { EVP_MD_CTX_free(md); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view data) {
    if (EVP_DigestUpdate(context_->md, data.data(), data.size()) != 1)
        throw Error("sha256: update failed");
}

Sha256::Digest Sha256::finish() {
    Digest digest{};
    unsigned size = 0;
    if (EVP_DigestFinal_ex(context_->md, digest.data(), &size) != 1 || size != digest.size())
        throw Error("sha256: finish failed");
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
