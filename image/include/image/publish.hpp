// What a repository offers to hosts beside its objects: `atoll/channels/STREAM` and `atoll/keys/N`.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "image/channel_file.hpp"
#include "image/repository.hpp"
#include "image/signing_key.hpp"

namespace image {

struct ChannelOptions {
    std::optional<unsigned> rollout;            ///< percent; default: as before, or 100 for another release
    std::optional<unsigned> expires_days;       ///< from now; default 90
    std::optional<std::string> minimum_version; ///< "" removes it; default: as before
    std::vector<std::string> delta_from;        ///< commits to make static deltas from
    bool deltas = true;                         ///< false: none, also not from the release before
    std::vector<std::string> forget;            ///< versions offered before that hosts shall not get any more
};

/// Offers a commit of the repository on a stream, with static deltas from `delta_from` and the release that was offered
/// before; deltas to this commit that were offered before stay. What was offered before can still be had by its
/// version, as long as the repository has it. Removes deltas that neither this nor the file before lists, nor another
/// stream's. Returns the file's path.
std::string write_channel(Repository& repository, const std::string& stream, const std::string& commit,
                          const ChannelOptions& options, const std::vector<SigningKey>& keys);

/// The commit a stream offers; empty when there is no channel file.
std::string offered_commit(const std::string& repository, const std::string& stream);

/// The newest key set of a repository.
std::optional<KeySetFile> newest_key_set(const std::string& repository);

/// Writes the next key set, signed with `keys`: as many as the set before and the new one ask for (the first set's
/// predecessor are the keys of the images that are out there, which are not known here). Returns the file's path.
std::string write_key_set(const std::string& repository, KeySetFile set, const std::vector<SigningKey>& keys);

} // namespace image
