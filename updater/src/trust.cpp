#include "updater/trust.hpp"

#include <openssl/evp.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/sha256.hpp"

namespace updater {

namespace {

constexpr std::size_t signature_size = 64;
constexpr std::size_t max_signatures = 64; // each costs a verification per key
constexpr std::size_t max_key_file = 64 * 1024;

struct EvpDelete {
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};

bool signed_by(const PublicKey& key, std::string_view data, std::string_view signature) {
    const std::unique_ptr<EVP_PKEY, EvpDelete> public_key(
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()));
    const std::unique_ptr<EVP_MD_CTX, EvpDelete> context(EVP_MD_CTX_new());
    if (!public_key || !context)
        throw base::Error("ed25519: libcrypto cannot set the verification up");
    if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, public_key.get()) != 1)
        throw base::Error("ed25519: libcrypto cannot set the verification up");
    // Ed25519 hashes the whole message twice: there is only the one-shot call (RFC 8032, PureEdDSA).
    return EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                            reinterpret_cast<const unsigned char*>(data.data()), data.size()) == 1;
}

} // namespace

std::vector<PublicKey> parse_keys(std::string_view text, const std::string& name) {
    std::vector<PublicKey> keys;
    for (unsigned line = 1; !text.empty(); ++line) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::size_t last = word.find_last_not_of(" \t\r");
        word = last == std::string_view::npos ? std::string_view() : word.substr(0, last + 1);
        if (word.empty() || word.front() == '#')
            continue;
        std::string bytes;
        try {
            bytes = base::base64_decode(word);
        } catch (const base::Error&) {
            throw base::Error(fmt::format("{}:{}: not a base64 ed25519 key", name, line));
        }
        PublicKey key;
        if (bytes.size() != key.size())
            throw base::Error(
                fmt::format("{}:{}: an ed25519 public key has 32 bytes, this one {}", name, line, bytes.size()));
        std::copy(bytes.begin(), bytes.end(), key.begin());
        keys.push_back(key);
    }
    return keys;
}

std::vector<PublicKey> load_key_directory(const std::string& directory) {
    std::vector<PublicKey> keys;
    std::error_code error;
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error))
        files.push_back(entry.path());
    if (error && error != std::errc::no_such_file_or_directory)
        throw base::Error(error.value(), "read keys in " + directory);
    std::sort(files.begin(), files.end());
    for (const std::string& file : files) {
        const std::vector<PublicKey> more = parse_keys(base::read_file(file, max_key_file), file);
        keys.insert(keys.end(), more.begin(), more.end());
    }
    return keys;
}

TrustedKeys::TrustedKeys(std::vector<PublicKey> keys, std::vector<PublicKey> revoked) : keys_(std::move(keys)) {
    std::sort(keys_.begin(), keys_.end());
    keys_.erase(std::unique(keys_.begin(), keys_.end()), keys_.end());
    std::erase_if(
        keys_, [&](const PublicKey& key) { return std::find(revoked.begin(), revoked.end(), key) != revoked.end(); });
}

std::size_t TrustedKeys::count_good(std::string_view data, const std::vector<std::string>& signatures) const {
    if (signatures.size() > max_signatures)
        throw base::Error(
            fmt::format("{} signatures: more than {} are not looked at", signatures.size(), max_signatures));
    return static_cast<std::size_t>(std::count_if(keys_.begin(), keys_.end(), [&](const PublicKey& key) {
        return std::any_of(signatures.begin(), signatures.end(), [&](const std::string& signature) {
            return signature.size() == signature_size && signed_by(key, data, signature);
        });
    }));
}

void TrustedKeys::require(std::string_view data, const std::vector<std::string>& signatures, std::size_t threshold,
                          const std::string& what) const {
    threshold = std::max<std::size_t>(threshold, 1);
    if (keys_.size() < threshold)
        throw base::Error(fmt::format("{}: {} trusted key(s) on this host, {} needed: nothing can be accepted", what,
                                      keys_.size(), threshold));
    if (signatures.empty())
        throw base::Error(what + ": not signed");
    const std::size_t good = count_good(data, signatures);
    if (good < threshold)
        throw base::Error(fmt::format("{}: {} signature(s), of which {} by a trusted key; {} needed", what,
                                      signatures.size(), good, threshold));
}

} // namespace updater
