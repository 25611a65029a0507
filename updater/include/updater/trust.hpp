// Who may sign an update. A commit carries detached metadata `ostree.sign.ed25519`, an array of raw 64-byte signatures
// over the bytes of the commit object (what `ostree sign` of upstream writes). Checked with libcrypto, since Debian's
// libostree has no ed25519.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace updater {

using PublicKey = std::array<std::uint8_t, 32>;

/// The metadata key of the signatures, of type aay.
inline constexpr const char* signature_metadata_key = "ostree.sign.ed25519";

/// Parses a key file: one base64 key a line; empty lines and lines that start with '#' are skipped.
/// Throws base::Error "NAME:LINE: reason": a key that cannot be read must not silently lower what is required.
std::vector<PublicKey> parse_keys(std::string_view text, const std::string& name);

/// The keys of every file of a directory, which may be missing. Throws base::Error when one cannot be read or parsed.
std::vector<PublicKey> load_key_directory(const std::string& directory);

class TrustedKeys {
public:
    TrustedKeys(std::vector<PublicKey> keys, std::vector<PublicKey> revoked);

    const std::vector<PublicKey>& keys() const noexcept { return keys_; }
    /// How many different keys of ours made one of `signatures` over `data`.
    std::size_t count_good(std::string_view data, const std::vector<std::string>& signatures) const;
    /// Throws base::Error saying what is missing unless `threshold` (at least 1) different keys signed `data`.
    void require(std::string_view data, const std::vector<std::string>& signatures, std::size_t threshold,
                 const std::string& what) const;

private:
    std::vector<PublicKey> keys_; ///< no duplicates
};

} // namespace updater
