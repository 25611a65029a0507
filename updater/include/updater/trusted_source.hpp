// Whom to believe and what to go to: follows the repository's key sets, then reads its channel file. What was seen is
// remembered before it is used, so that no server can take it back.
#pragma once
#include <string>
#include <vector>

#include "updater/channel.hpp"
#include "updater/key_set.hpp"
#include "updater/paths.hpp"
#include "updater/remote.hpp"
#include "updater/trust_state.hpp"

namespace updater {

class TrustedSource {
public:
    static constexpr unsigned max_rotations = 256; ///< followed at once

    TrustedSource(const Paths& paths, Remote remote, std::vector<std::string> host_keys);

    /// Takes every key set that follows the present one. Throws base::Error when there is one that is not signed as it
    /// has to be; those before it are kept.
    void follow_keys();
    /// The stream's channel file, signed and usable for the booted release (DESIGN.md: what is refused).
    Channel channel(const std::string& stream, std::int64_t booted_timestamp);
    const Trust& trust() const noexcept { return trust_; }

private:
    void remember(const TrustState& next);
    const Paths& paths_;
    Remote remote_;
    std::vector<std::string> host_keys_;
    TrustState state_;
    Trust trust_;
};

} // namespace updater
