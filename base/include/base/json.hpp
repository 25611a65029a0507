// Boost.JSON with our limits and messages. Include it in .cpp files, not in public headers: it is heavy.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

namespace base {

namespace json = boost::json;

/// Parses a whole document. Throws Error "NAME: line L column C: reason". Depth at most 64; duplicate keys are refused
/// (two parsers may pick different ones).
json::value parse_json(std::string_view text, const std::string& name);

/// Typed reads of an object's member. A missing member gives the default; one of another type throws Error
/// "NAME: KEY: expected a string", where NAME says which document.
class JsonObject {
public:
    JsonObject(const json::value& value, std::string name);
    bool has(std::string_view key) const;
    std::string string(std::string_view key, std::string fallback = {}) const;
    std::string required_string(std::string_view key) const;
    std::int64_t integer(std::string_view key, std::int64_t fallback = 0) const;
    bool boolean(std::string_view key, bool fallback = false) const;
    std::vector<std::string> strings(std::string_view key) const;
    /// nullopt when missing or null.
    std::optional<JsonObject> object(std::string_view key) const;
    const json::array& array(std::string_view key) const; ///< empty when missing or null
    const json::object& raw() const noexcept { return *object_; }
    const std::string& name() const noexcept { return name_; }

private:
    const json::object* object_; ///< the document outlives its readers
    std::string name_;
};

} // namespace base
