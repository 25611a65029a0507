#include "updater/channel.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/sha256.hpp"
#include "updater/boot_text.hpp"
#include "updater/image_info.hpp"

namespace updater {

namespace {

constexpr std::int64_t format_version = 1;
constexpr std::int64_t latest_time = 253'402'300'799; // the year 9999
constexpr unsigned places = 10'000;

std::string required_commit(const base::JsonObject& object, const char* key) {
    std::string commit = object.required_string(key);
    if (!base::is_sha256_hex(commit))
        throw base::Error(fmt::format("{}: {}: not 64 hexadecimal digits", object.name(), key));
    return commit;
}

std::int64_t required_integer(const base::JsonObject& object, const char* key, std::int64_t least, std::int64_t most) {
    if (!object.has(key))
        throw base::Error(fmt::format("{}: {}: missing", object.name(), key));
    const std::int64_t value = object.integer(key);
    if (value < least || value > most)
        throw base::Error(fmt::format("{}: {}: {} is not between {} and {}", object.name(), key, value, least, most));
    return value;
}

void require_version(const base::JsonObject& object, const char* key, const std::string& version) {
    constexpr std::size_t longest = 100;
    if (version.empty() || version.size() > longest)
        throw base::Error(fmt::format("{}: {}: not a version", object.name(), key));
    require_safe_boot_text(version, fmt::format("{}: {}", object.name(), key));
}

ChannelDelta parse_delta(const base::JsonObject& object) {
    ChannelDelta delta;
    delta.from = required_commit(object, "from");
    delta.to = required_commit(object, "to");
    delta.sha256 = required_commit(object, "sha256");
    delta.superblock_size = static_cast<std::uint64_t>(
        required_integer(object, "superblock_size", 1, static_cast<std::int64_t>(Channel::max_superblock_bytes)));
    delta.size =
        static_cast<std::uint64_t>(required_integer(object, "size", static_cast<std::int64_t>(delta.superblock_size),
                                                    static_cast<std::int64_t>(Channel::max_delta_bytes)));
    return delta;
}

ChannelRelease parse_release(const base::JsonObject& object) {
    ChannelRelease release;
    release.version = object.required_string("version");
    require_version(object, "version", release.version);
    release.commit = required_commit(object, "commit");
    release.minimum_version = object.string("minimum_version");
    if (!release.minimum_version.empty())
        require_version(object, "minimum_version", release.minimum_version);
    return release;
}

} // namespace

Channel Channel::parse(std::string_view text, const std::string& name) {
    if (text.size() > max_bytes)
        throw base::Error(fmt::format("{}: larger than {} bytes", name, max_bytes));
    const base::json::value document = base::parse_json(text, name);
    const base::JsonObject root(document, name);
    required_integer(root, "format", format_version, format_version);
    Channel channel;
    channel.stream = root.required_string("stream");
    if (!is_valid_ref(channel.stream))
        throw base::Error(name + ": stream: not the name of a stream");
    channel.release = parse_release(root);
    channel.issued = required_integer(root, "issued", 1, latest_time);
    channel.expires = required_integer(root, "expires", channel.issued, latest_time);
    if (root.has("rollout"))
        channel.rollout = static_cast<unsigned>(required_integer(root, "rollout", 0, 100));
    const base::json::array& deltas = root.array("deltas");
    if (deltas.size() > max_deltas)
        throw base::Error(fmt::format("{}: deltas: more than {}", name, max_deltas));
    for (const base::json::value& item : deltas)
        channel.deltas.push_back(parse_delta(base::JsonObject(item, name + ": deltas")));
    const base::json::array& history = root.array("history");
    if (history.size() > max_history)
        throw base::Error(fmt::format("{}: history: more than {}", name, max_history));
    for (const base::json::value& item : history)
        channel.history.push_back(parse_release(base::JsonObject(item, name + ": history")));
    return channel;
}

const ChannelDelta* Channel::delta(std::string_view from, std::string_view to) const noexcept {
    const auto found = std::find_if(deltas.begin(), deltas.end(),
                                    [&](const ChannelDelta& delta) { return delta.from == from && delta.to == to; });
    return found == deltas.end() ? nullptr : &*found;
}

const ChannelRelease& Channel::find(const std::string& version) const {
    if (release.version == version)
        return release;
    const auto found = std::find_if(history.begin(), history.end(),
                                    [&](const ChannelRelease& before) { return before.version == version; });
    if (found != history.end())
        return *found;
    constexpr std::size_t shown = 10;
    std::string others;
    for (std::size_t index = 0; index < std::min(history.size(), shown); ++index)
        others += (index == 0 ? ", and before it " : ", ") + history[index].version;
    if (history.size() > shown)
        others += fmt::format(" and {} more", history.size() - shown);
    throw base::Error(
        fmt::format("{} has no version {}: it offers {}{}", stream, plain_text(version, 100), release.version, others));
}

std::string channel_path(const std::string& stream) {
    return "atoll/channels/" + stream;
}

std::int64_t require_usable(const Channel& channel, const ChannelFacts& facts) {
    if (channel.stream != facts.stream)
        throw base::Error(fmt::format("the channel file is of stream {}, not of {}", channel.stream, facts.stream));
    if (channel.issued < facts.last_issued)
        throw base::Error(
            fmt::format("the channel file of {} is older (issued {}) than one seen before (issued {}): the "
                        "server offers an outdated one",
                        facts.stream, channel.issued, facts.last_issued));
    // Somebody of ours signed it at `issued`: that moment is past, whatever the clock says.
    const std::int64_t now = std::max({facts.clock, facts.floor, channel.issued});
    if (now >= channel.expires)
        throw base::Error(fmt::format("the channel file of {} expired at {}, and it is {} at least: the server, or "
                                      "whoever is between, may be withholding updates",
                                      facts.stream, channel.expires, now));
    return now;
}

void require_reachable(const ChannelRelease& release, const std::string& booted_version) {
    if (!release.minimum_version.empty() && !booted_version.empty() &&
        compare_versions(booted_version, release.minimum_version) < 0)
        throw base::Error(fmt::format("version {} cannot be installed over {}: go through version {} first "
                                      "(updatectl deploy {})",
                                      release.version, booted_version, release.minimum_version,
                                      release.minimum_version));
}

unsigned rollout_place(std::string_view machine_id, std::string_view stream, std::string_view version) {
    if (machine_id.empty())
        return places - 1;
    const std::string message = fmt::format("atoll rollout\n{}\n{}\n", stream, version);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (HMAC(EVP_sha256(), machine_id.data(), static_cast<int>(machine_id.size()),
             reinterpret_cast<const unsigned char*>(message.data()), message.size(), digest.data(), &size) == nullptr)
        throw base::Error("libcrypto cannot compute a HMAC");
    std::uint64_t value = 0;
    for (std::size_t index = 0; index < 6; ++index) // 48 bits: the modulo's bias is below any fleet's size
        value = value << 8U | digest[index];
    return static_cast<unsigned>(value % places);
}

bool is_in_rollout(const Channel& channel, std::string_view machine_id) {
    return rollout_place(machine_id, channel.stream, channel.release.version) < channel.rollout * (places / 100);
}

} // namespace updater
