// What a stream offers now, and to whom: the channel file `atoll/channels/STREAM` of a repository, JSON in a
// base::SignedText of kind "channel". It is what makes a server unable to withhold a release for long (it expires) or
// to offer an old one again (`issued` never goes back). DESIGN.md has the members.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace updater {

/// A static delta: its superblock, which holds the digest and size of every part.
struct ChannelDelta {
    std::string from; ///< commits
    std::string to;
    std::uint64_t size = 0; ///< of the superblock and all parts
    std::uint64_t superblock_size = 0;
    std::string sha256; ///< of the superblock
};

struct ChannelRelease {
    std::string version;
    std::string commit;
    std::string minimum_version; ///< empty: every host may go there directly
};

struct Channel {
    static constexpr std::size_t max_bytes = 64 * 1024;
    static constexpr std::size_t max_deltas = 64;
    static constexpr std::size_t max_history = 100;
    static constexpr std::uint64_t max_delta_bytes = std::uint64_t{4} << 30;
    static constexpr std::uint64_t max_superblock_bytes = 8 * 1024 * 1024;

    std::string stream;
    ChannelRelease release;   ///< what is offered
    std::int64_t issued = 0;  ///< seconds since 1970
    std::int64_t expires = 0; ///< from then on it says nothing any more
    unsigned rollout = 100;   ///< percent of hosts that may take it
    std::vector<ChannelDelta> deltas;
    std::vector<ChannelRelease> history; ///< offered before, newest first, and still to be had by their version

    /// `text` is what was signed. Members that are not known are skipped: a later release may add some. Throws
    /// base::Error "NAME: reason".
    static Channel parse(std::string_view text, const std::string& name);
    const ChannelDelta* delta(std::string_view from, std::string_view to) const noexcept;
    /// Throws base::Error that names the versions there are.
    const ChannelRelease& find(const std::string& version) const;
};

/// Where a channel and a key set are in a repository.
std::string channel_path(const std::string& stream);

/// What is known of time and of the stream, see TrustState.
struct ChannelFacts {
    std::string stream;
    std::int64_t clock = 0;       ///< what the machine's clock says
    std::int64_t floor = 0;       ///< a time that is surely past
    std::int64_t last_issued = 0; ///< of the newest channel file of this stream that was seen
};

/// Throws base::Error when the channel is of another stream, older than one seen before, or expired. Returns the time
/// that is surely past now.
std::int64_t require_usable(const Channel& channel, const ChannelFacts& facts);

/// Throws base::Error when a host of that version (may be empty: not known) has to go through another release first.
void require_reachable(const ChannelRelease& release, const std::string& booted_version);

/// Where a host stands in the rollout of a version, in hundredths of a percent: 0 to 9999, other for every version.
/// A keyed hash, so that knowing places tells nothing of the machine id. Without an id a host is among the last.
unsigned rollout_place(std::string_view machine_id, std::string_view stream, std::string_view version);
bool is_in_rollout(const Channel& channel, std::string_view machine_id);

} // namespace updater
