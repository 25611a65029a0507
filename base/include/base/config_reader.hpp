// YAML configuration read strictly: every problem is collected as "file:line:column: path.to.key: problem".
//
//   base::ConfigDocument document = base::ConfigDocument::from_file(path);
//   base::ConfigMap root = document.root();
//   Service service;
//   service.name = root.required_string("name");
//   service.memory = root.optional_size("memory").value_or(0);
//   if (auto health = root.optional_map("health")) { ...; health->finish(); }
//   root.finish();            // unknown keys become problems
//   document.throw_problems();// throws ConfigError with all of them, or returns
//
// Readers return defaults (empty, 0, nullopt) after a problem, so one pass finds all of them. No YAML exception leaves.
// Limits: 1 MiB of text, 64 levels, 10,000 nodes; anchors and aliases are refused (no billion laughs).
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace base {

/// All problems of one document; what() is one line each.
class ConfigError : public Error {
public:
    explicit ConfigError(std::vector<std::string> problems);
    const std::vector<std::string>& problems() const noexcept { return problems_; }

private:
    std::vector<std::string> problems_;
};

class ConfigMap;
class ConfigValue;
namespace detail {
struct ConfigState;
struct ConfigNode;
} // namespace detail

class ConfigDocument {
public:
    /// Reads and parses; a file that cannot be read throws Error, text that is not YAML is a problem.
    static ConfigDocument from_file(const std::string& path);
    /// `name` stands for the file in messages.
    static ConfigDocument from_text(std::string_view text, std::string name);

    ConfigMap root();
    const std::string& name() const noexcept;
    bool has_problems() const noexcept;
    void throw_problems() const;

private:
    explicit ConfigDocument(std::shared_ptr<detail::ConfigState> state) : state_(std::move(state)) {}
    std::shared_ptr<detail::ConfigState> state_;
};

/// One value: a scalar, list or map at a place in the document.
class ConfigValue {
public:
    const std::string& path() const noexcept { return path_; }
    void problem(const std::string& text) const;

    std::string as_string() const;
    bool as_bool() const;                                          ///< true or false
    std::int64_t as_int(std::int64_t min, std::int64_t max) const; ///< decimal
    std::chrono::milliseconds as_duration() const;                 ///< "250ms", "10s", "5m", "2h", "1d"
    std::uint64_t as_size() const;                                 ///< bytes: "4096", "64KiB", "10MiB", "1GiB"
    std::vector<ConfigValue> as_list() const;
    std::vector<std::string> as_strings() const; ///< a list of strings
    ConfigMap as_map() const;

private:
    friend class ConfigMap;
    friend class ConfigDocument;
    ConfigValue(std::shared_ptr<detail::ConfigState> state, const detail::ConfigNode* node, std::string path)
        : state_(std::move(state)), node_(node), path_(std::move(path)) {}
    std::shared_ptr<detail::ConfigState> state_;
    const detail::ConfigNode* node_;
    std::string path_;
};

/// One map, whose keys are taken one after the other. `finish` reports those nobody took.
class ConfigMap {
public:
    /// A value that must be there; reported at the map when missing (then nullopt).
    std::optional<ConfigValue> required(const std::string& key);
    std::optional<ConfigValue> optional(const std::string& key);

    std::string required_string(const std::string& key);
    std::vector<std::string> required_strings(const std::string& key);
    std::int64_t required_int(const std::string& key, std::int64_t min, std::int64_t max);
    std::optional<std::string> optional_string(const std::string& key);
    std::vector<std::string> optional_strings(const std::string& key);
    std::optional<std::int64_t> optional_int(const std::string& key, std::int64_t min, std::int64_t max);
    std::optional<bool> optional_bool(const std::string& key);
    std::optional<std::chrono::milliseconds> optional_duration(const std::string& key);
    std::optional<std::uint64_t> optional_size(const std::string& key);
    std::optional<ConfigMap> optional_map(const std::string& key);
    /// A list of maps; empty when missing.
    std::vector<ConfigMap> optional_maps(const std::string& key);
    /// All remaining keys and values (for maps with free keys, such as env), in document order.
    std::vector<std::pair<std::string, ConfigValue>> rest();

    /// A problem of the map as a whole.
    void problem(const std::string& text) const;
    const std::string& path() const noexcept { return path_; }
    /// Reports every key that was not taken.
    void finish();

private:
    friend class ConfigValue;
    friend class ConfigDocument;
    ConfigMap(std::shared_ptr<detail::ConfigState> state, const detail::ConfigNode* node, std::string path)
        : state_(std::move(state)), node_(node), path_(std::move(path)) {}
    std::string child_path(const std::string& key) const;
    std::shared_ptr<detail::ConfigState> state_;
    const detail::ConfigNode* node_; ///< nullptr after a problem: every key is then missing, silently
    std::string path_;
    std::set<std::string> taken_;
};

} // namespace base
