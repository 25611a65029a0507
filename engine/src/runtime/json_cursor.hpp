// Walks config.json or a part of it; a problem is thrown as "NAME: path.to.value: problem (config.md, "Section")". Path
// and section are put together only then.
#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

namespace engine::runtime {

namespace json = boost::json;

class JsonCursor {
public:
    /// The whole document, called `name` in messages. `within` is what it is of config.json, "process." say: it says
    /// which section of the specification a problem is about.
    JsonCursor(const json::value& value, const std::string& name, const char* within = "")
        : value_(&value), name_(&name), within_(within) {}

    [[noreturn]] void fail(const std::string& problem) const;
    /// As `fail`, about the member `key`, which may be missing.
    [[noreturn]] void fail_at(std::string_view key, const std::string& problem) const;
    std::string path() const;

    bool is_null() const { return value_->is_null(); }
    const json::value& value() const { return *value_; }
    std::string string() const;
    /// A string that can be passed to the kernel: without NUL bytes, not empty.
    std::string text() const;
    /// `text` that begins with "/".
    std::string absolute_path() const;
    bool boolean() const;
    std::int64_t integer(std::int64_t min, std::int64_t max) const;
    std::uint64_t unsigned_integer(std::uint64_t max = std::numeric_limits<std::uint64_t>::max()) const;
    template <typename T>
    T number() const {
        return static_cast<T>(unsigned_integer(std::numeric_limits<T>::max()));
    }
    std::vector<std::string> strings() const;

    /// Calls `visit(cursor)` with the member unless it is missing or null.
    template <typename F>
    void optional(std::string_view key, F&& visit) const {
        if (const json::value* member = find(key))
            visit(JsonCursor(*member, *this, key));
    }
    /// As `optional`; a missing member is a problem.
    template <typename F>
    void required(std::string_view key, F&& visit) const {
        const json::value* member = find(key);
        if (member == nullptr)
            fail("\"" + std::string(key) + "\" is missing");
        visit(JsonCursor(*member, *this, key));
    }
    /// Calls `visit(cursor)` with every element of this array.
    template <typename F>
    void each(F&& visit) const {
        const json::array& elements = array();
        for (std::size_t index = 0; index < elements.size(); ++index)
            visit(JsonCursor(elements[index], *this, index));
    }
    /// Calls `visit(key, cursor)` with every member of this object, in document order.
    template <typename F>
    void members(F&& visit) const {
        for (const auto& [key, member] : object())
            visit(std::string_view(key), JsonCursor(member, *this, std::string_view(key)));
    }
    /// A member that the specification knows and we do not do.
    void refuse(std::string_view key, const std::string& reason) const;

private:
    JsonCursor(const json::value& value, const JsonCursor& parent, std::string_view key)
        : value_(&value), parent_(&parent), key_(key), name_(parent.name_), within_(parent.within_) {}
    JsonCursor(const json::value& value, const JsonCursor& parent, std::size_t index)
        : value_(&value), parent_(&parent), index_(index), name_(parent.name_), within_(parent.within_) {}
    const json::value* find(std::string_view key) const;
    const json::object& object() const;
    const json::array& array() const;

    const json::value* value_;
    const JsonCursor* parent_ = nullptr; ///< lives on the caller's stack
    std::string_view key_;
    std::size_t index_ = 0;
    const std::string* name_;
    const char* within_;
};

} // namespace engine::runtime
