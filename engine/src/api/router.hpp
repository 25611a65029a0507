// Finds the handler of a request by method and path.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/call.hpp"

namespace engine::api {

using Route = std::function<void(Call&)>;

class Router {
public:
    /// `pattern` has segments of text, "{}" for one segment, and "{*}" for one or more ("images/{*}/json": names of
    /// images contain slashes). Routes are tried in the order in which they were added.
    void add(std::string method, std::string_view pattern, Route route);

    struct Match {
        const Route* route = nullptr; ///< nullptr: no such path, or not with this method
        std::vector<std::string> parameters;
        bool path_known = false; ///< the path exists with another method
    };
    Match find(std::string_view method, std::string_view path) const;

private:
    struct Entry {
        std::string method;
        std::vector<std::string> segments;
        Route route;
    };
    std::vector<Entry> entries_;
};

struct VersionedPath {
    unsigned minor;
    std::string path; ///< without the prefix
};
/// Takes "/v1.41" off. Throws HttpError 400, in docker's words, for a version that is not served.
VersionedPath split_version(const std::string& path);

} // namespace engine::api
