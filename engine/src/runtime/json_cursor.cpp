#include "runtime/json_cursor.hpp"

#include "base/error.hpp"
#include "runtime/specification.hpp"

namespace engine::runtime {

std::string JsonCursor::path() const {
    if (parent_ == nullptr)
        return {};
    std::string path = parent_->path();
    if (key_.data() == nullptr)
        return path + "[" + std::to_string(index_) + "]";
    if (!path.empty())
        path += '.';
    return path.append(key_);
}

namespace {

[[noreturn]] void throw_problem(const std::string& name, const char* within, const std::string& path,
                                const std::string& problem) {
    const std::string section = specification_section(within + path);
    throw base::Error(name + ": " + (path.empty() ? "" : path + ": ") + problem +
                      (section.empty() ? "" : " (" + section + ")"));
}

} // namespace

void JsonCursor::fail(const std::string& problem) const {
    throw_problem(*name_, within_, path(), problem);
}

void JsonCursor::fail_at(std::string_view key, const std::string& problem) const {
    const std::string where = path();
    throw_problem(*name_, within_, (where.empty() ? "" : where + ".") + std::string(key), problem);
}

const json::object& JsonCursor::object() const {
    if (!value_->is_object())
        fail("expected an object");
    return value_->get_object();
}

const json::array& JsonCursor::array() const {
    if (!value_->is_array())
        fail("expected an array");
    return value_->get_array();
}

const json::value* JsonCursor::find(std::string_view key) const {
    const json::value* member = object().if_contains(key);
    return member == nullptr || member->is_null() ? nullptr : member;
}

void JsonCursor::refuse(std::string_view key, const std::string& reason) const {
    optional(key, [&](const JsonCursor& member) { member.fail("not supported: " + reason); });
}

std::string JsonCursor::string() const {
    if (!value_->is_string())
        fail("expected a string");
    const json::string& text = value_->get_string();
    if (text.find('\0') != json::string::npos)
        fail("contains a NUL byte");
    return {text.data(), text.size()};
}

std::string JsonCursor::text() const {
    std::string text = string();
    if (text.empty())
        fail("is empty");
    return text;
}

std::string JsonCursor::absolute_path() const {
    std::string path = text();
    if (path.front() != '/')
        fail("\"" + path + "\" is not an absolute path");
    if (path.size() >= 4096)
        fail("is longer than a path may be");
    return path;
}

bool JsonCursor::boolean() const {
    if (!value_->is_bool())
        fail("expected true or false");
    return value_->get_bool();
}

std::int64_t JsonCursor::integer(std::int64_t min, std::int64_t max) const {
    if (!value_->is_int64() && !value_->is_uint64())
        fail("expected an integer");
    if (value_->is_uint64() &&
        value_->get_uint64() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        fail("is out of range");
    const std::int64_t number =
        value_->is_int64() ? value_->get_int64() : static_cast<std::int64_t>(value_->get_uint64());
    if (number < min || number > max)
        fail(std::to_string(number) + " is not in " + std::to_string(min) + ".." + std::to_string(max));
    return number;
}

std::uint64_t JsonCursor::unsigned_integer(std::uint64_t max) const {
    if (!value_->is_int64() && !value_->is_uint64())
        fail("expected an integer");
    if (value_->is_int64() && value_->get_int64() < 0)
        fail("is negative");
    const std::uint64_t number =
        value_->is_uint64() ? value_->get_uint64() : static_cast<std::uint64_t>(value_->get_int64());
    if (number > max)
        fail(std::to_string(number) + " is more than " + std::to_string(max));
    return number;
}

std::vector<std::string> JsonCursor::strings() const {
    std::vector<std::string> texts;
    texts.reserve(array().size());
    each([&](const JsonCursor& element) { texts.push_back(element.string()); });
    return texts;
}

} // namespace engine::runtime
