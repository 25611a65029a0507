// Which keys sign from now on: `atoll/keys/N` in a repository, JSON in a base::SignedText of kind "keys". Set N is
// taken when enough keys of set N-1 and enough of its own have signed it, so that a host that was off for years follows
// them one by one. (The root metadata of The Update Framework, section 5.3, without its other roles.)
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "updater/paths.hpp"
#include "updater/trust.hpp"

namespace updater {

struct KeySet {
    static constexpr std::size_t max_bytes = 64 * 1024;
    static constexpr std::size_t max_keys = 64;
    static constexpr std::int64_t max_version = 1'000'000;

    std::int64_t version = 0; ///< 0: what an image without a number ships
    std::size_t threshold = 1;
    std::vector<PublicKey> keys;
    std::vector<PublicKey> revoked; ///< count for nothing, also where the host's own configuration names them

    /// `text` is what was signed. Throws base::Error "NAME: reason".
    static KeySet parse(std::string_view text, const std::string& name);
};

/// Where set N is in a repository.
std::string key_set_path(std::int64_t version);

/// Whom this host believes: the image's keys or the newest set that was followed to, whichever is newer, and what the
/// host's configuration adds.
struct Trust {
    TrustedKeys keys{{}, {}};
    std::size_t threshold = 1;
    std::int64_t version = 0;

    void require(std::string_view data, const std::vector<std::string>& signatures, const std::string& what) const {
        keys.require(data, signatures, threshold, what);
    }
};

/// `followed`: the signed file of the newest set this host followed to (from TrustState, checked then), or empty.
Trust load_trust(const Paths& paths, const std::vector<std::string>& host_keys, const std::string& followed);

/// The set in `file`, which has to be the successor of `trust`. Throws base::Error saying what is missing.
KeySet require_successor(const Trust& trust, std::string_view file, const std::string& name);

} // namespace updater
