// Fetching a static delta that the signed channel file lists. Its superblock has the digest that was signed, and holds
// the digest and size of each part (libostree's format, ostree-repo-static-delta-private.h): nothing of it is
// interpreted that was not signed.
#pragma once
#include <functional>
#include <string>

#include "updater/channel.hpp"
#include "updater/remote.hpp"

namespace updater {

/// Where libostree puts a delta's files in a repository: "deltas/XX/...-.../NAME".
std::string delta_path(const std::string& from, const std::string& to, const std::string& name);

/// Fetches superblock and parts into `directory`, where parts that came before are kept. Throws base::Error.
void fetch_delta(const Remote& remote, const ChannelDelta& delta, const std::string& directory,
                 const std::function<void(std::uint64_t bytes)>& progress);

} // namespace updater
