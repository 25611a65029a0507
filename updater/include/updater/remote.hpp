// The repository that updates come from, for what we fetch ourselves: signed files and static deltas. Redirections are
// not followed, sizes are bounded. (Objects are fetched by libostree, see Repository::pull.)
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/host_config.hpp"

namespace updater {

struct Remote {
    std::string url;   ///< http or https
    std::string ca;    ///< file; empty: the system's authorities
    std::string proxy; ///< empty: none
    /// A download that brings less than a byte a millisecond for so long has stopped, and is given up.
    std::chrono::seconds stall{60};

    /// A small file of at most `limit` bytes; nullopt when the server says that it is not there (404 or 410). Throws
    /// base::Error.
    std::optional<std::string> fetch_if_there(const std::string& path, std::size_t limit) const;
    /// The same, but it has to be there.
    std::string fetch(const std::string& path, std::size_t limit) const;
    /// Exactly `size` bytes with that digest, to the file `target`, which is made in the end, and durably; nothing
    /// happens when it is there already. `progress` gets the bytes of each part.
    void fetch_file(const std::string& path, std::uint64_t size, const std::string& sha256, const std::string& target,
                    const std::function<void(std::uint64_t)>& progress) const;
};

} // namespace updater
