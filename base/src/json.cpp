#include "base/json.hpp"

#include <cmath>

#include <boost/json/basic_parser_impl.hpp>

#include "base/error.hpp"

namespace base {
namespace {

constexpr std::size_t max_depth = 64;

/// Finds the first key that an object has twice. Boost.JSON silently takes the last one, and two readers of one
/// document must not see different values.
class DuplicateFinder {
public:
    // The interface that boost::json::basic_parser calls.
    static constexpr std::size_t max_array_size = json::array::max_size();
    static constexpr std::size_t max_object_size = json::object::max_size();
    static constexpr std::size_t max_string_size = json::string::max_size();
    static constexpr std::size_t max_key_size = json::string::max_size();
    using code = json::error_code;

    std::optional<std::string> duplicate;

    static bool on_document_begin(code&) { return true; }
    static bool on_document_end(code&) { return true; }
    bool on_object_begin(code&) {
        objects_.emplace_back();
        return true;
    }
    bool on_object_end(std::size_t, code&) {
        objects_.pop_back();
        return true;
    }
    static bool on_array_begin(code&) { return true; }
    static bool on_array_end(std::size_t, code&) { return true; }
    bool on_key_part(json::string_view part, std::size_t, code&) {
        key_.append(part.data(), part.size());
        return true;
    }
    bool on_key(json::string_view part, std::size_t, code&) {
        key_.append(part.data(), part.size());
        if (!duplicate && !objects_.back().insert(key_).second)
            duplicate = key_;
        key_.clear();
        return true;
    }
    static bool on_string_part(json::string_view, std::size_t, code&) { return true; }
    static bool on_string(json::string_view, std::size_t, code&) { return true; }
    static bool on_number_part(json::string_view, code&) { return true; }
    static bool on_int64(std::int64_t, json::string_view, code&) { return true; }
    static bool on_uint64(std::uint64_t, json::string_view, code&) { return true; }
    static bool on_double(double number, json::string_view, code& error) {
        // 1e999 becomes infinity, which no JSON text can spell.
        if (!std::isfinite(number))
            error = json::error::exponent_overflow;
        return !error;
    }
    static bool on_bool(bool, code&) { return true; }
    static bool on_null(code&) { return true; }
    static bool on_comment_part(json::string_view, code&) { return true; }
    static bool on_comment(json::string_view, code&) { return true; }

private:
    std::vector<std::set<std::string>> objects_;
    std::string key_;
};

std::string position(std::string_view text, std::size_t offset) {
    const std::string_view before = text.substr(0, offset);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const auto start = before.rfind('\n');
    const std::size_t column = start == std::string_view::npos ? before.size() + 1 : before.size() - start;
    return fmt::format("line {} column {}", line, column);
}

[[noreturn]] void wrong_type(const std::string& document, std::string_view key, const char* expected) {
    throw Error(fmt::format("{}: {}: expected {}", document, key, expected));
}

const json::array empty_array;

} // namespace

json::value parse_json(std::string_view text, const std::string& name) {
    json::parse_options options;
    options.max_depth = max_depth;
    json::basic_parser<DuplicateFinder> finder(options);
    json::error_code error;
    const std::size_t parsed = finder.write_some(false, text.data(), text.size(), error);
    if (!error && text.find_first_not_of(" \t\r\n", parsed) != std::string_view::npos)
        error = json::error::extra_data;
    if (error)
        throw Error(fmt::format("{}: {}: {}", name, position(text, parsed), error.message()));
    if (finder.handler().duplicate)
        throw Error(fmt::format("{}: key {} appears twice in one object", name, *finder.handler().duplicate));
    json::value value = json::parse({text.data(), text.size()}, error, {}, options);
    if (error)
        throw Error(fmt::format("{}: {}", name, error.message()));
    return value;
}

JsonObject::JsonObject(const json::value& value, std::string name)
    : object_(value.if_object()), name_(std::move(name)) {
    if (object_ == nullptr)
        throw Error(fmt::format("{}: expected an object", name_));
}

bool JsonObject::has(std::string_view key) const {
    const json::value* value = object_->if_contains(key);
    return value != nullptr && !value->is_null();
}

std::string JsonObject::string(std::string_view key, std::string fallback) const {
    if (!has(key))
        return fallback;
    const json::string* text = object_->at(key).if_string();
    if (text == nullptr)
        wrong_type(name_, key, "a string");
    return {text->data(), text->size()};
}

std::string JsonObject::required_string(std::string_view key) const {
    if (!has(key))
        throw Error(fmt::format("{}: {}: missing", name_, key));
    return string(key);
}

std::int64_t JsonObject::integer(std::string_view key, std::int64_t fallback) const {
    if (!has(key))
        return fallback;
    json::error_code error;
    const std::int64_t number = object_->at(key).to_number<std::int64_t>(error);
    if (error)
        wrong_type(name_, key, "an integer");
    return number;
}

bool JsonObject::boolean(std::string_view key, bool fallback) const {
    if (!has(key))
        return fallback;
    const bool* flag = object_->at(key).if_bool();
    if (flag == nullptr)
        wrong_type(name_, key, "true or false");
    return *flag;
}

std::vector<std::string> JsonObject::strings(std::string_view key) const {
    std::vector<std::string> result;
    for (const json::value& item : array(key)) {
        const json::string* text = item.if_string();
        if (text == nullptr)
            wrong_type(name_, key, "a list of strings");
        result.emplace_back(text->data(), text->size());
    }
    return result;
}

std::optional<JsonObject> JsonObject::object(std::string_view key) const {
    if (!has(key))
        return std::nullopt;
    return JsonObject(object_->at(key), fmt::format("{}: {}", name_, key));
}

const json::array& JsonObject::array(std::string_view key) const {
    if (!has(key))
        return empty_array;
    const json::array* items = object_->at(key).if_array();
    if (items == nullptr)
        wrong_type(name_, key, "a list");
    return *items;
}

} // namespace base
