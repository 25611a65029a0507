#include "api/filters.hpp"

#include "base/http/server.hpp"
#include "base/json.hpp"

namespace engine::api {

using base::http::HttpError;

Filters Filters::parse(std::string_view text) {
    Filters filters;
    if (text.empty())
        return filters;
    try {
        const base::json::value document = base::parse_json(text, "filters");
        const base::JsonObject object(document, "filters");
        for (const auto& member : object.raw()) {
            std::set<std::string>& values = filters.values_[std::string(member.key())];
            if (member.value().is_object()) {
                const base::JsonObject set(member.value(), "filters");
                for (const auto& item : set.raw())
                    if (set.boolean(item.key()))
                        values.insert(std::string(item.key()));
            } else {
                for (std::string& value : object.strings(member.key()))
                    values.insert(std::move(value));
            }
        }
    } catch (const HttpError&) {
        throw;
    } catch (const base::Error& error) {
        throw HttpError(400, fmt::format("invalid filters: {}", error.what()));
    }
    return filters;
}

void Filters::expect(std::initializer_list<std::string_view> known) const {
    for (const auto& [key, values] : values_)
        if (std::find(known.begin(), known.end(), key) == known.end())
            throw HttpError(400, fmt::format("invalid filter '{}'", key));
}

const std::set<std::string>& Filters::values(const std::string& key) const {
    static const std::set<std::string> none;
    const auto found = values_.find(key);
    return found == values_.end() ? none : found->second;
}

bool Filters::allows(const std::string& key, std::string_view value) const {
    return !has(key) || values(key).contains(std::string(value));
}

bool Filters::allows_part(const std::string& key, std::string_view value) const {
    const auto& wanted = values(key);
    return !has(key) || std::any_of(wanted.begin(), wanted.end(), [&](const std::string& part) {
        return value.find(part) != std::string_view::npos;
    });
}

bool Filters::allows_prefix(const std::string& key, std::string_view value) const {
    const auto& wanted = values(key);
    return !has(key) || std::any_of(wanted.begin(), wanted.end(),
                                    [&](const std::string& prefix) { return value.starts_with(prefix); });
}

bool Filters::allows_labels(const std::map<std::string, std::string>& labels, const std::string& key) const {
    const auto& wanted = values(key);
    return std::all_of(wanted.begin(), wanted.end(), [&](const std::string& text) {
        const std::size_t equals = text.find('=');
        const auto label = labels.find(text.substr(0, equals));
        return label != labels.end() && (equals == std::string::npos || label->second == text.substr(equals + 1));
    });
}

bool Filters::flag(const std::string& key, bool fallback) const {
    if (!has(key))
        return fallback;
    for (const std::string& value : values(key)) {
        if (value == "true" || value == "1")
            return true;
        if (value == "false" || value == "0")
            return false;
    }
    throw HttpError(400, fmt::format("invalid filter '{}': expected true or false", key));
}

} // namespace engine::api
