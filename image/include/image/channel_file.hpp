// The channel file of a stream: what it offers, signed, for the updater (updater/DESIGN.md has the format). Beside it
// the key sets, by which one set of keys hands over to the next.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "image/signing_key.hpp"

namespace image {

struct DeltaFile {
    std::string from; ///< commits
    std::string to;
    std::uint64_t size = 0; ///< of the superblock and all parts
    std::uint64_t superblock_size = 0;
    std::string sha256; ///< of the superblock
};

/// A release that was offered before, and that hosts still get by its version.
struct FormerRelease {
    std::string version;
    std::string commit;
    std::string minimum_version; ///< empty: none
};

struct ChannelFile {
    std::string stream;
    std::string version;
    std::string commit;
    std::int64_t issued = 0; ///< seconds since 1970
    std::int64_t expires = 0;
    std::string minimum_version; ///< empty: none
    unsigned rollout = 100;      ///< percent of the hosts
    std::vector<DeltaFile> deltas;
    std::vector<FormerRelease> history; ///< newest first

    /// JSON, one member a line.
    std::string serialize() const;
    /// Throws base::Error "NAME: reason".
    static ChannelFile parse(std::string_view text, const std::string& name);
};

struct KeySetFile {
    std::int64_t version = 1;
    std::size_t threshold = 1;
    std::vector<std::string> keys; ///< base64
    std::vector<std::string> revoked;

    std::string serialize() const;
    static KeySetFile parse(std::string_view text, const std::string& name);
};

/// The signed file (base/signed_text.hpp) of a text.
std::string sign_text(const std::string& kind, const std::string& text, const std::vector<SigningKey>& keys);
/// How many of `keys` (base64, different ones) have signed the file.
std::size_t count_signers(std::string_view file, const std::string& kind, const std::vector<std::string>& keys,
                          const std::string& name);
/// The file with signatures of `keys` added: when several people hold the keys.
std::string add_signatures(std::string_view file, const std::string& kind, const std::vector<SigningKey>& keys,
                           const std::string& name);
/// Public keys of a file: one base64 of 32 bytes a line, '#' begins a comment.
std::vector<std::string> load_public_keys(const std::string& path);

} // namespace image
