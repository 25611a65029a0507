// What of trust outlives a reboot: /var/lib/atoll/updater/trust.json. Written before what it stands for is acted upon;
// a file that is damaged or cannot be written stops updates, never a boot, a judgement or a rollback.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace updater {

struct TrustState {
    static constexpr std::size_t max_bytes = 256 * 1024;
    static constexpr std::size_t max_streams = 64;

    /// A time that is surely past: when a channel file was last found valid, as this host's clock and the signatures
    /// say. Never beyond that file's expiry, so that a clock that was once far ahead does no lasting harm.
    std::int64_t time = 0;
    std::map<std::string, std::int64_t> issued; ///< by stream: of the newest channel file seen
    std::string key_set;                        ///< signed file of the newest set followed to; empty: the image's keys

    bool operator==(const TrustState&) const = default;
    static TrustState parse(std::string_view text, const std::string& name);
    std::string serialize() const;
    /// Empty when there is no such file.
    static TrustState load(const std::string& path);
    void save(const std::string& path) const;
};

} // namespace updater
