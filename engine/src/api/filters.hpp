// The `filters` query: {"label": ["a=b"], "status": ["running"]}, or in the older form {"label": {"a=b": true}}.
#pragma once
#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace engine::api {

class Filters {
public:
    Filters() = default;
    /// Empty text: no filters. Throws HttpError 400 for anything that is not a map of lists or sets.
    static Filters parse(std::string_view text);

    /// Throws HttpError 400 "invalid filter 'X'" when there is one not among `known`.
    void expect(std::initializer_list<std::string_view> known) const;
    bool has(const std::string& key) const { return values_.contains(key); }
    const std::set<std::string>& values(const std::string& key) const;
    /// True without such a filter, or when one of its values equals `value`.
    bool allows(const std::string& key, std::string_view value) const;
    /// True without such a filter, or when one of its values is found in `value` (docker's name filter).
    bool allows_part(const std::string& key, std::string_view value) const;
    /// True without such a filter, or when `value` starts with one of its values (docker's id filter).
    bool allows_prefix(const std::string& key, std::string_view value) const;
    /// Every value of the filter ("name" or "name=value") is among the labels.
    bool allows_labels(const std::map<std::string, std::string>& labels, const std::string& key = "label") const;
    /// The value of a yes or no filter ("dangling"); throws HttpError 400 when it is neither.
    bool flag(const std::string& key, bool fallback) const;

private:
    std::map<std::string, std::set<std::string>> values_;
};

} // namespace engine::api
