#include "updater/trust_state.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/json.hpp"

namespace updater {

namespace json = base::json;

TrustState TrustState::parse(std::string_view text, const std::string& name) {
    const json::value document = base::parse_json(text, name);
    const base::JsonObject root(document, name);
    TrustState state;
    state.time = root.integer("time");
    state.key_set = root.string("key_set");
    if (const auto streams = root.object("issued")) {
        for (const auto& [stream, value] : streams->raw())
            state.issued[std::string(stream)] = streams->integer(stream);
    }
    return state;
}

std::string TrustState::serialize() const {
    json::object streams;
    for (const auto& [stream, when] : issued)
        streams[stream] = when;
    return json::serialize(json::object{{"time", time}, {"issued", std::move(streams)}, {"key_set", key_set}}) + "\n";
}

TrustState TrustState::load(const std::string& path) {
    const std::optional<std::string> text = base::read_file_if_exists(path, max_bytes);
    if (!text)
        return {};
    try {
        return parse(*text, path);
    } catch (const base::Error& error) {
        throw base::Error(fmt::format("{}; this host no longer knows what it has seen: remove the file to begin anew "
                                      "with the image's keys",
                                      error.what()));
    }
}

void TrustState::save(const std::string& path) const {
    base::write_durable(path, serialize(), 0600);
}

} // namespace updater
