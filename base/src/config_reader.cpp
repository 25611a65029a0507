#include "base/config_reader.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <charconv>
#include <sstream>

#include "base/files.hpp"
#include "base/utf8.hpp"

namespace base {
namespace detail {

constexpr std::size_t max_text = 1024UL * 1024;
constexpr std::size_t max_depth = 64;
constexpr std::size_t max_nodes = 10'000;

struct Place {
    int line = 1; ///< from 1
    int column = 1;
};

struct ConfigNode {
    enum class Kind { null, scalar, list, map };
    Kind kind = Kind::null;
    Place place;
    std::string text; ///< of a scalar
    bool quoted = false;
    std::vector<std::unique_ptr<ConfigNode>> items;                           ///< of a list
    std::vector<std::pair<std::string, std::unique_ptr<ConfigNode>>> members; ///< of a map, in order
    std::vector<Place> key_places;
};

struct ConfigState {
    std::string name;
    std::vector<std::string> problems;
    std::unique_ptr<ConfigNode> root = std::make_unique<ConfigNode>();

    void problem(const Place& place, const std::string& path, const std::string& text) {
        problems.push_back(
            fmt::format("{}:{}:{}: {}{}{}", name, place.line, place.column, path, path.empty() ? "" : ": ", text));
    }
};

namespace {

/// Stops yaml-cpp's parser at a limit; it never leaves this file.
class Stop : public std::exception {};

/// Builds our own tree from yaml-cpp's events: its Node API keeps no place of keys, takes duplicate keys silently and
/// expands aliases.
class Builder : public YAML::EventHandler {
public:
    explicit Builder(ConfigState& state) : state_(state) {}

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        refuse_anchor(mark, anchor);
        add(mark, ConfigNode::Kind::null);
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { fail(mark, "aliases are not supported"); }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        refuse_anchor(mark, anchor);
        // Also of what a file of good UTF-8 spells: yaml-cpp 0.7 makes single bytes of "\\_" and "\\N".
        if (!is_utf8(value))
            fail(mark, "not UTF-8 text");
        if (!stack_.empty() && stack_.back()->kind == ConfigNode::Kind::map && !pending_key_) {
            take_key(mark, value);
            return;
        }
        ConfigNode& node = add(mark, ConfigNode::Kind::scalar);
        node.text = value;
        node.quoted = tag == "!"; // yaml-cpp's tag of a quoted scalar
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        refuse_anchor(mark, anchor);
        push(add(mark, ConfigNode::Kind::list), mark);
    }
    void OnSequenceEnd() override { pop(); }
    void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        refuse_anchor(mark, anchor);
        push(add(mark, ConfigNode::Kind::map), mark);
    }
    void OnMapEnd() override { pop(); }

    /// yaml-cpp's marks count from 0.
    static Place place_of(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

private:
    struct Key {
        std::string name;
        Place place;
    };

    [[noreturn]] void fail(const YAML::Mark& mark, const std::string& text) {
        state_.problem(place_of(mark), "", text);
        throw Stop();
    }
    void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
        if (anchor != 0)
            fail(mark, "anchors are not supported");
    }
    void take_key(const YAML::Mark& mark, const std::string& name) {
        for (const auto& member : stack_.back()->members) {
            if (member.first == name)
                state_.problem(place_of(mark), "", fmt::format("key {} appears twice", name));
        }
        pending_key_ = Key{name, place_of(mark)};
    }
    ConfigNode& add(const YAML::Mark& mark, ConfigNode::Kind kind) {
        if (++nodes_ > max_nodes)
            fail(mark, fmt::format("more than {} values", max_nodes));
        if (stack_.empty()) {
            state_.root->kind = kind;
            state_.root->place = place_of(mark);
            return *state_.root;
        }
        ConfigNode& parent = *stack_.back();
        auto node = std::make_unique<ConfigNode>();
        node->kind = kind;
        node->place = place_of(mark);
        ConfigNode& result = *node;
        if (parent.kind == ConfigNode::Kind::list) {
            parent.items.push_back(std::move(node));
        } else {
            if (!pending_key_)
                fail(mark, "a key must be a string");
            if (kind == ConfigNode::Kind::null) // an empty value has no place of its own: show its key's
                result.place = pending_key_->place;
            parent.key_places.push_back(pending_key_->place);
            parent.members.emplace_back(pending_key_->name, std::move(node));
            pending_key_.reset();
        }
        return result;
    }
    void push(ConfigNode& node, const YAML::Mark& mark) {
        if (stack_.size() >= max_depth)
            fail(mark, fmt::format("more than {} levels", max_depth));
        stack_.push_back(&node);
    }
    void pop() { stack_.pop_back(); }

    ConfigState& state_;
    std::vector<ConfigNode*> stack_;
    std::optional<Key> pending_key_;
    std::size_t nodes_ = 0;
};

/// yaml-cpp 0.7 recurses once a nesting level before its events reach us: refuse what would overflow the stack.
bool nests_too_deep(std::string_view text) {
    std::size_t flow = 0;
    std::size_t dashes = 0;
    for (const char c : text) {
        if (c == '[' || c == '{')
            ++flow;
        else if ((c == ']' || c == '}') && flow > 0)
            --flow;
        if (c == '-' || c == '?')
            ++dashes; // "- - - -" nests a list at each dash
        else if (c != ' ')
            dashes = 0;
        if (flow > max_depth * 4 || dashes > max_depth * 4)
            return true;
    }
    return false;
}

void parse_into(ConfigState& state, std::string_view text) {
    if (text.size() > max_text) {
        state.problem({}, "", fmt::format("more than {} bytes", max_text));
        return;
    }
    if (nests_too_deep(text)) {
        state.problem({}, "", fmt::format("more than {} levels", max_depth));
        return;
    }
    try {
        std::istringstream stream{std::string(text)};
        YAML::Parser parser(stream);
        Builder builder(state);
        parser.HandleNextDocument(builder);
    } catch (const Stop&) { // the problem is recorded
        state.root = std::make_unique<ConfigNode>();
    } catch (const YAML::Exception& error) {
        state.problem(Builder::place_of(error.mark), "", error.msg);
        state.root = std::make_unique<ConfigNode>();
    }
}

std::string join(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) {
        if (!text.empty())
            text += '\n';
        text += line;
    }
    return text;
}

/// The digits of `text` up to its unit; nullopt when there is no number or it is too large.
std::optional<std::pair<std::uint64_t, std::string_view>> number_and_unit(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc())
        return std::nullopt;
    return std::pair(number, text.substr(static_cast<std::size_t>(end - text.data())));
}

} // namespace
} // namespace detail

using Kind = detail::ConfigNode::Kind;

ConfigError::ConfigError(std::vector<std::string> problems)
    : Error(detail::join(problems)), problems_(std::move(problems)) {}

ConfigDocument ConfigDocument::from_file(const std::string& path) {
    // One byte more than allowed, so that a larger file becomes a problem with a place and not a read error.
    return from_text(read_file(path, detail::max_text + 1), path);
}

ConfigDocument ConfigDocument::from_text(std::string_view text, std::string name) {
    auto state = std::make_shared<detail::ConfigState>();
    state->name = std::move(name);
    detail::parse_into(*state, text);
    return ConfigDocument(std::move(state));
}

ConfigMap ConfigDocument::root() {
    const ConfigValue value(state_, state_->root.get(), "");
    if (state_->root->kind == Kind::null && !state_->problems.empty())
        return ConfigMap(state_, nullptr, ""); // the parse failed: missing keys would be noise
    if (state_->root->kind == Kind::null)
        state_->root->kind = Kind::map; // an empty document is an empty map
    return value.as_map();
}

const std::string& ConfigDocument::name() const noexcept {
    return state_->name;
}

bool ConfigDocument::has_problems() const noexcept {
    return !state_->problems.empty();
}

void ConfigDocument::throw_problems() const {
    if (has_problems())
        throw ConfigError(state_->problems);
}

void ConfigValue::problem(const std::string& text) const {
    state_->problem(node_->place, path_, text);
}

std::string ConfigValue::as_string() const {
    if (node_->kind != Kind::scalar) {
        problem("expected a string");
        return {};
    }
    if (node_->text.find('\0') != std::string::npos) {
        problem("a zero byte in a string");
        return {};
    }
    return node_->text;
}

bool ConfigValue::as_bool() const {
    if (node_->kind == Kind::scalar && !node_->quoted && (node_->text == "true" || node_->text == "false"))
        return node_->text == "true";
    problem("expected true or false");
    return false;
}

std::int64_t ConfigValue::as_int(std::int64_t min, std::int64_t max) const {
    std::int64_t number = 0;
    const std::string& text = node_->text;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (node_->kind != Kind::scalar || error != std::errc() || end != text.data() + text.size()) {
        problem("expected a whole number");
        return min;
    }
    if (number < min || number > max) {
        problem(fmt::format("expected a number from {} to {}", min, max));
        return min;
    }
    return number;
}

std::chrono::milliseconds ConfigValue::as_duration() const {
    constexpr std::array<std::pair<std::string_view, std::uint64_t>, 5> units{
        {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
    constexpr std::uint64_t longest = 10ULL * 365 * 86'400'000;
    if (const auto parsed = detail::number_and_unit(node_->text); node_->kind == Kind::scalar && parsed) {
        for (const auto& [unit, factor] : units) {
            if (parsed->second == unit && parsed->first <= longest / factor)
                return std::chrono::milliseconds(parsed->first * factor);
        }
    }
    problem("expected a duration such as 10s, 5m or 2h");
    return {};
}

std::uint64_t ConfigValue::as_size() const {
    constexpr std::array<std::pair<std::string_view, unsigned>, 5> units{
        {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}}};
    if (const auto parsed = detail::number_and_unit(node_->text); node_->kind == Kind::scalar && parsed) {
        for (const auto& [unit, shift] : units) {
            if (parsed->second == unit && parsed->first <= static_cast<std::uint64_t>(INT64_MAX) >> shift)
                return parsed->first << shift;
        }
    }
    problem("expected a size such as 64KiB, 10MiB or 1GiB");
    return 0;
}

std::vector<ConfigValue> ConfigValue::as_list() const {
    if (node_->kind != Kind::list) {
        problem("expected a list");
        return {};
    }
    std::vector<ConfigValue> values;
    for (std::size_t i = 0; i < node_->items.size(); ++i)
        values.push_back(ConfigValue(state_, node_->items[i].get(), fmt::format("{}[{}]", path_, i)));
    return values;
}

std::vector<std::string> ConfigValue::as_strings() const {
    std::vector<std::string> strings;
    for (const ConfigValue& value : as_list())
        strings.push_back(value.as_string());
    return strings;
}

ConfigMap ConfigValue::as_map() const {
    if (node_->kind != Kind::map) {
        problem("expected a map");
        return ConfigMap(state_, nullptr, path_);
    }
    return ConfigMap(state_, node_, path_);
}

std::string ConfigMap::child_path(const std::string& key) const {
    return path_.empty() ? key : path_ + "." + key;
}

std::optional<ConfigValue> ConfigMap::optional(const std::string& key) {
    if (node_ == nullptr)
        return std::nullopt;
    taken_.insert(key);
    for (const auto& [name, node] : node_->members) {
        if (name == key)
            return ConfigValue(state_, node.get(), child_path(key));
    }
    return std::nullopt;
}

std::optional<ConfigValue> ConfigMap::required(const std::string& key) {
    auto value = optional(key);
    if (!value && node_ != nullptr)
        problem(fmt::format("key {} is missing", key));
    return value;
}

std::string ConfigMap::required_string(const std::string& key) {
    const auto value = required(key);
    return value ? value->as_string() : std::string();
}

std::vector<std::string> ConfigMap::required_strings(const std::string& key) {
    const auto value = required(key);
    return value ? value->as_strings() : std::vector<std::string>();
}

std::int64_t ConfigMap::required_int(const std::string& key, std::int64_t min, std::int64_t max) {
    const auto value = required(key);
    return value ? value->as_int(min, max) : min;
}

std::optional<std::string> ConfigMap::optional_string(const std::string& key) {
    const auto value = optional(key);
    return value ? std::optional(value->as_string()) : std::nullopt;
}

std::vector<std::string> ConfigMap::optional_strings(const std::string& key) {
    const auto value = optional(key);
    return value ? value->as_strings() : std::vector<std::string>();
}

std::optional<std::int64_t> ConfigMap::optional_int(const std::string& key, std::int64_t min, std::int64_t max) {
    const auto value = optional(key);
    return value ? std::optional(value->as_int(min, max)) : std::nullopt;
}

std::optional<bool> ConfigMap::optional_bool(const std::string& key) {
    const auto value = optional(key);
    return value ? std::optional(value->as_bool()) : std::nullopt;
}

std::optional<std::chrono::milliseconds> ConfigMap::optional_duration(const std::string& key) {
    const auto value = optional(key);
    return value ? std::optional(value->as_duration()) : std::nullopt;
}

std::optional<std::uint64_t> ConfigMap::optional_size(const std::string& key) {
    const auto value = optional(key);
    return value ? std::optional(value->as_size()) : std::nullopt;
}

std::optional<ConfigMap> ConfigMap::optional_map(const std::string& key) {
    const auto value = optional(key);
    return value ? std::optional(value->as_map()) : std::nullopt;
}

std::vector<ConfigMap> ConfigMap::optional_maps(const std::string& key) {
    std::vector<ConfigMap> maps;
    if (const auto value = optional(key)) {
        for (const ConfigValue& item : value->as_list())
            maps.push_back(item.as_map());
    }
    return maps;
}

std::vector<std::pair<std::string, ConfigValue>> ConfigMap::rest() {
    std::vector<std::pair<std::string, ConfigValue>> members;
    if (node_ == nullptr)
        return members;
    for (const auto& [name, node] : node_->members) {
        if (taken_.insert(name).second)
            members.emplace_back(name, ConfigValue(state_, node.get(), child_path(name)));
    }
    return members;
}

void ConfigMap::problem(const std::string& text) const {
    if (node_ != nullptr)
        state_->problem(node_->place, path_, text);
}

void ConfigMap::finish() {
    if (node_ == nullptr)
        return;
    for (std::size_t i = 0; i < node_->members.size(); ++i) {
        if (!taken_.contains(node_->members[i].first))
            state_->problem(node_->key_places[i], child_path(node_->members[i].first), "unknown key");
    }
}

} // namespace base
