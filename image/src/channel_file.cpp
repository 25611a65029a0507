#include "image/channel_file.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/json.hpp"
#include "base/sha256.hpp"
#include "base/signed_text.hpp"

namespace image {
namespace {

namespace json = base::json;

constexpr std::size_t public_key_size = 32;

/// One member a line: people read these files, and compare them.
std::string lines_of(const json::object& object) {
    std::string text = "{\n";
    for (const auto& member : object)
        text += "  " + json::serialize(json::string(member.key())) + ": " + json::serialize(member.value()) + ",\n";
    text.erase(text.size() - 2, 1);
    return text + "}\n";
}

json::array to_array(const std::vector<std::string>& texts) {
    return json::array(texts.begin(), texts.end());
}

std::uint64_t size_member(const base::JsonObject& object, const char* key) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(object.integer(key), 0));
}

} // namespace

std::string ChannelFile::serialize() const {
    json::array list;
    for (const DeltaFile& delta : deltas)
        list.push_back(json::object{{"from", delta.from},
                                    {"to", delta.to},
                                    {"size", delta.size},
                                    {"superblock_size", delta.superblock_size},
                                    {"sha256", delta.sha256}});
    json::object object{{"format", 1},      {"stream", stream},   {"version", version}, {"commit", commit},
                        {"issued", issued}, {"expires", expires}, {"rollout", rollout}};
    if (!minimum_version.empty())
        object["minimum_version"] = minimum_version;
    object["deltas"] = std::move(list);
    json::array former;
    for (const FormerRelease& release : history) {
        json::object item{{"version", release.version}, {"commit", release.commit}};
        if (!release.minimum_version.empty())
            item["minimum_version"] = release.minimum_version;
        former.push_back(std::move(item));
    }
    object["history"] = std::move(former);
    return lines_of(object);
}

ChannelFile ChannelFile::parse(std::string_view text, const std::string& name) {
    const json::value document = base::parse_json(text, name);
    const base::JsonObject root(document, name);
    ChannelFile channel;
    channel.stream = root.required_string("stream");
    channel.version = root.required_string("version");
    channel.commit = root.required_string("commit");
    channel.issued = root.integer("issued");
    channel.expires = root.integer("expires");
    channel.minimum_version = root.string("minimum_version");
    channel.rollout = static_cast<unsigned>(std::clamp<std::int64_t>(root.integer("rollout", 100), 0, 100));
    for (const json::value& item : root.array("deltas")) {
        const base::JsonObject delta(item, name + ": deltas");
        channel.deltas.push_back({delta.required_string("from"), delta.required_string("to"),
                                  size_member(delta, "size"), size_member(delta, "superblock_size"),
                                  delta.required_string("sha256")});
    }
    for (const json::value& item : root.array("history")) {
        const base::JsonObject release(item, name + ": history");
        channel.history.push_back(
            {release.required_string("version"), release.required_string("commit"), release.string("minimum_version")});
    }
    return channel;
}

std::string KeySetFile::serialize() const {
    return lines_of(json::object{{"format", 1},
                                 {"version", version},
                                 {"threshold", threshold},
                                 {"keys", to_array(keys)},
                                 {"revoked", to_array(revoked)}});
}

KeySetFile KeySetFile::parse(std::string_view text, const std::string& name) {
    const json::value document = base::parse_json(text, name);
    const base::JsonObject root(document, name);
    KeySetFile set;
    set.version = root.integer("version");
    set.threshold = size_member(root, "threshold");
    set.keys = root.strings("keys");
    set.revoked = root.strings("revoked");
    return set;
}

std::string sign_text(const std::string& kind, const std::string& text, const std::vector<SigningKey>& keys) {
    base::SignedText file{kind, {}, text};
    for (const SigningKey& key : keys)
        file.signatures.push_back(key.sign(file.message()));
    return file.serialize();
}

std::size_t count_signers(std::string_view file, const std::string& kind, const std::vector<std::string>& keys,
                          const std::string& name) {
    const base::SignedText parsed = base::SignedText::parse(file, kind, name);
    const std::string message = parsed.message();
    return static_cast<std::size_t>(std::count_if(keys.begin(), keys.end(), [&](const std::string& key) {
        const std::string raw = base::base64_decode(key);
        return std::any_of(parsed.signatures.begin(), parsed.signatures.end(),
                           [&](const std::string& signature) { return verify_ed25519(raw, message, signature); });
    }));
}

std::string add_signatures(std::string_view file, const std::string& kind, const std::vector<SigningKey>& keys,
                           const std::string& name) {
    base::SignedText parsed = base::SignedText::parse(file, kind, name);
    for (const SigningKey& key : keys) {
        // ed25519 is deterministic: the same key signs the same.
        std::string signature = key.sign(parsed.message());
        if (std::find(parsed.signatures.begin(), parsed.signatures.end(), signature) == parsed.signatures.end())
            parsed.signatures.push_back(std::move(signature));
    }
    return parsed.serialize();
}

std::vector<std::string> load_public_keys(const std::string& path) {
    constexpr std::size_t limit = 65536;
    std::vector<std::string> keys;
    for (std::string rest = base::read_file(path, limit); !rest.empty();) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        const std::string line = rest.substr(0, end);
        rest.erase(0, end + 1);
        if (line.empty() || line.front() == '#')
            continue;
        if (base::with_context(path, [&] { return base::base64_decode(line); }).size() != public_key_size)
            throw base::Error(path + ": expected base64 of 32 bytes a line");
        keys.push_back(line);
    }
    return keys;
}

} // namespace image
