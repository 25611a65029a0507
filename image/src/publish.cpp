#include "image/publish.hpp"

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "base/sha256.hpp"
#include "base/signed_text.hpp"

namespace image {
namespace {

namespace fs = std::filesystem;

constexpr unsigned default_expiry_days = 90;
constexpr std::int64_t day = 86'400;
constexpr std::size_t max_file = 64 * 1024;
constexpr std::size_t max_deltas = 64;
constexpr std::size_t max_history = 100;
constexpr std::uint64_t max_delta_object = 32ULL << 20; // a host has it in memory as a whole

std::string channel_path(const std::string& repository, const std::string& stream) {
    return repository + "/atoll/channels/" + stream;
}

std::string key_set_path(const std::string& repository, std::int64_t version) {
    return repository + "/atoll/keys/" + std::to_string(version);
}

std::optional<ChannelFile> load_channel(const std::string& repository, const std::string& stream) {
    const std::string path = channel_path(repository, stream);
    const std::optional<std::string> file = base::read_file_if_exists(path, max_file);
    if (!file)
        return std::nullopt;
    return ChannelFile::parse(base::SignedText::parse(*file, "channel", path).text, path);
}

std::optional<std::string> load_key_set_file(const std::string& repository, std::int64_t version) {
    return base::read_file_if_exists(key_set_path(repository, version), max_file);
}

KeySetFile parse_key_set(const std::string& file, const std::string& name) {
    return KeySetFile::parse(base::SignedText::parse(file, "keys", name).text, name);
}

void write_file(const std::string& path, const std::string& content) {
    base::make_directories(fs::path(path).parent_path().string());
    base::write_durable(path, content);
}

/// What hosts get by its version, besides what is offered now.
std::vector<FormerRelease> history_after(const ChannelFile& before, const ChannelFile& now,
                                         const Repository& repository, const std::vector<std::string>& forget) {
    std::vector<FormerRelease> all{{before.version, before.commit, before.minimum_version}};
    all.insert(all.end(), before.history.begin(), before.history.end());
    std::vector<FormerRelease> kept;
    for (FormerRelease& release : all) {
        const bool again = release.commit == now.commit || release.version == now.version ||
                           std::any_of(kept.begin(), kept.end(),
                                       [&](const FormerRelease& newer) { return newer.version == release.version; });
        const bool forgotten = std::find(forget.begin(), forget.end(), release.version) != forget.end();
        if (!again && !forgotten && kept.size() < max_history && repository.has_commit(release.commit))
            kept.push_back(std::move(release));
    }
    return kept;
}

/// A host that has read the file before this one may be fetching its delta.
void prune_deltas(Repository& repository, const std::optional<ChannelFile>& before) {
    std::vector<DeltaFile> listed = before ? before->deltas : std::vector<DeltaFile>{};
    const std::string top = repository.path() + "/atoll/channels";
    for (const fs::directory_entry& item : fs::recursive_directory_iterator(top)) {
        if (!item.is_regular_file())
            continue;
        const std::optional<ChannelFile> other =
            load_channel(repository.path(), fs::relative(item.path(), top).string());
        listed.insert(listed.end(), other->deltas.begin(), other->deltas.end());
    }
    if (const std::size_t removed = repository.keep_deltas(listed); removed > 0)
        base::log_info("{} static delta(s) removed that no stream offers any more", removed);
}

} // namespace

std::string write_channel(Repository& repository, const std::string& stream, const std::string& commit,
                          const ChannelOptions& options, const std::vector<SigningKey>& keys) {
    const std::optional<ChannelFile> before = load_channel(repository.path(), stream);
    const bool same = before && before->commit == commit;
    ChannelFile channel;
    channel.stream = stream;
    channel.commit = commit;
    const Repository::CommitDescription description = repository.describe(commit);
    channel.version = description.version;
    if (before)
        channel.minimum_version = before->minimum_version;
    channel.minimum_version = options.minimum_version.value_or(channel.minimum_version);
    channel.rollout = options.rollout.value_or(same ? before->rollout : 100U);
    // Hosts refuse a channel file that is older than one they have seen.
    channel.issued = std::max<std::int64_t>(std::time(nullptr), description.timestamp);
    if (before)
        channel.issued = std::max(channel.issued, before->issued + 1);
    channel.expires = channel.issued + options.expires_days.value_or(default_expiry_days) * day;
    std::vector<std::string> from = options.delta_from;
    if (options.deltas && same)
        channel.deltas = before->deltas;
    else if (options.deltas && before && repository.has_commit(before->commit))
        from.push_back(before->commit);
    for (const std::string& old : from) {
        const bool listed = std::any_of(channel.deltas.begin(), channel.deltas.end(),
                                        [&](const DeltaFile& delta) { return delta.from == old; });
        if (listed || old == commit)
            continue;
        if (const std::uint64_t largest = repository.largest_new_object(old, commit); largest > max_delta_object)
            base::log_notice(
                "no static delta from {}: a file of {} bytes would need more memory on the hosts than they "
                "give an update; they fetch it in pieces",
                old, largest);
        else
            channel.deltas.push_back(repository.make_delta(old, commit));
    }
    if (channel.deltas.size() > max_deltas)
        throw base::Error(
            fmt::format("{} static deltas: more than {} are not read by hosts", channel.deltas.size(), max_deltas));
    if (before)
        channel.history = history_after(*before, channel, repository, options.forget);
    const std::string text = channel.serialize();
    const std::string file = sign_text("channel", text, keys);
    if (file.size() > max_file)
        throw base::Error(fmt::format("the channel file of {} would be {} bytes, and hosts read no more than {}; "
                                      "--forget versions that nobody needs",
                                      stream, file.size(), max_file));
    const std::string path = channel_path(repository.path(), stream);
    write_file(path, file);
    prune_deltas(repository, before);
    return path;
}

std::string offered_commit(const std::string& repository, const std::string& stream) {
    const std::optional<ChannelFile> channel = load_channel(repository, stream);
    return channel ? channel->commit : "";
}

std::optional<KeySetFile> newest_key_set(const std::string& repository) {
    std::optional<KeySetFile> newest;
    for (std::int64_t version = 1;; ++version) {
        const std::optional<std::string> file = load_key_set_file(repository, version);
        if (!file)
            return newest;
        newest = parse_key_set(*file, key_set_path(repository, version));
    }
}

std::string write_key_set(const std::string& repository, KeySetFile set, const std::vector<SigningKey>& keys) {
    const std::optional<KeySetFile> before = newest_key_set(repository);
    set.version = before ? before->version + 1 : 1;
    if (set.threshold < 1 || set.threshold > set.keys.size())
        throw base::Error(fmt::format("threshold {} of {} key(s)", set.threshold, set.keys.size()));
    for (const std::string& key : set.keys) {
        if (std::count(set.keys.begin(), set.keys.end(), key) != 1)
            throw base::Error("key " + key + " is named twice");
        if (std::find(set.revoked.begin(), set.revoked.end(), key) != set.revoked.end())
            throw base::Error("key " + key + " is trusted and revoked");
    }
    const std::string path = key_set_path(repository, set.version);
    const std::string file = sign_text("keys", set.serialize(), keys);
    const auto require = [&](const KeySetFile& by, const std::string& whose) {
        if (const std::size_t good = count_signers(file, "keys", by.keys, path); good < by.threshold)
            throw base::Error(fmt::format("{}: signed by {} of {}, {} needed: no host would take it", path, good, whose,
                                          by.threshold));
    };
    require(set, "its own keys");
    if (before)
        require(*before, "the keys of set " + std::to_string(before->version));
    write_file(path, file);
    return path;
}

} // namespace image
