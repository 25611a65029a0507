#include "updater/key_set.hpp"

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/sha256.hpp"
#include "base/signed_text.hpp"
#include "updater/image_info.hpp"

namespace updater {

namespace {

std::vector<PublicKey> parse_list(const base::JsonObject& root, const char* key) {
    std::vector<PublicKey> keys;
    for (const std::string& text : root.strings(key)) {
        const std::vector<PublicKey> one = parse_keys(text, fmt::format("{}: {}", root.name(), key));
        if (one.size() != 1)
            throw base::Error(fmt::format("{}: {}: expected one key an item", root.name(), key));
        if (keys.size() == KeySet::max_keys)
            throw base::Error(fmt::format("{}: {}: more than {}", root.name(), key, KeySet::max_keys));
        if (std::find(keys.begin(), keys.end(), one.front()) != keys.end())
            throw base::Error(fmt::format("{}: {}: a key is named twice", root.name(), key));
        keys.push_back(one.front());
    }
    return keys;
}

} // namespace

KeySet KeySet::parse(std::string_view text, const std::string& name) {
    if (text.size() > max_bytes)
        throw base::Error(fmt::format("{}: larger than {} bytes", name, max_bytes));
    const base::json::value document = base::parse_json(text, name);
    const base::JsonObject root(document, name);
    if (root.integer("format") != 1)
        throw base::Error(name + ": format: only 1 is known here");
    KeySet set;
    set.version = root.integer("version");
    if (set.version < 1 || set.version > max_version)
        throw base::Error(fmt::format("{}: version: {} is not between 1 and {}", name, set.version, max_version));
    set.keys = parse_list(root, "keys");
    set.revoked = parse_list(root, "revoked");
    for (const PublicKey& key : set.keys) {
        if (std::find(set.revoked.begin(), set.revoked.end(), key) != set.revoked.end())
            throw base::Error(name + ": a key is trusted and revoked");
    }
    const std::int64_t threshold = root.integer("threshold");
    if (threshold < 1 || threshold > static_cast<std::int64_t>(set.keys.size()))
        throw base::Error(fmt::format("{}: threshold: {} of {} key(s)", name, threshold, set.keys.size()));
    set.threshold = static_cast<std::size_t>(threshold);
    return set;
}

std::string key_set_path(std::int64_t version) {
    return fmt::format("atoll/keys/{}", version);
}

Trust load_trust(const Paths& paths, const std::vector<std::string>& host_keys, const std::string& followed) {
    const ImageInfo image = ImageInfo::load(paths.image_yaml);
    std::optional<KeySet> set;
    if (!followed.empty()) {
        const std::string name = "the key set in " + paths.trust_file();
        set = KeySet::parse(base::SignedText::parse(followed, "keys", name).text, name);
        if (set->version <= image.keys_version)
            set.reset(); // the image is newer, and its commit was signed by keys that were trusted then
    }
    std::vector<PublicKey> keys = set ? set->keys : load_key_directory(paths.trusted_keys);
    std::vector<PublicKey> revoked = load_key_directory(paths.revoked_keys);
    if (set)
        revoked.insert(revoked.end(), set->revoked.begin(), set->revoked.end());
    for (const std::string& text : host_keys) {
        const std::vector<PublicKey> more = parse_keys(text, "update.keys of the host configuration");
        keys.insert(keys.end(), more.begin(), more.end());
    }
    return {TrustedKeys(std::move(keys), std::move(revoked)),
            set ? set->threshold : static_cast<std::size_t>(image.threshold), set ? set->version : image.keys_version};
}

KeySet require_successor(const Trust& trust, std::string_view file, const std::string& name) {
    const base::SignedText signed_text = base::SignedText::parse(file, "keys", name);
    const std::string message = signed_text.message();
    trust.require(message, signed_text.signatures, name + ": by the keys trusted so far");
    KeySet set = KeySet::parse(signed_text.text, name);
    if (set.version != trust.version + 1)
        throw base::Error(fmt::format("{}: set {} where {} is expected", name, set.version, trust.version + 1));
    // That its keys have signed too shows that somebody holds them: a typing error here would lock every host out.
    TrustedKeys(set.keys, set.revoked)
        .require(message, signed_text.signatures, set.threshold, name + ": by the keys it names");
    return set;
}

} // namespace updater
