#include "api/router.hpp"

#include <charconv>

namespace engine::api {
namespace {

std::vector<std::string> split_path(std::string_view path) {
    std::vector<std::string> segments;
    while (!path.empty()) {
        const std::size_t slash = std::min(path.find('/'), path.size());
        if (slash > 0)
            segments.emplace_back(path.substr(0, slash));
        path.remove_prefix(std::min(slash + 1, path.size()));
    }
    return segments;
}

/// Matches from `at` on; parameters are appended.
bool matches(std::span<const std::string> pattern, std::span<const std::string> path,
             std::vector<std::string>& parameters) {
    if (pattern.empty())
        return path.empty();
    if (path.empty())
        return false;
    if (pattern.front() == "{*}") {
        // The fewest segments first: what follows is fixed text, so the first fit is the only one that makes sense.
        std::string joined;
        for (std::size_t count = 1; count <= path.size(); ++count) {
            joined += (count == 1 ? "" : "/") + path[count - 1];
            std::vector<std::string> rest = parameters;
            rest.push_back(joined);
            if (matches(pattern.subspan(1), path.subspan(count), rest)) {
                parameters = std::move(rest);
                return true;
            }
        }
        return false;
    }
    if (pattern.front() == "{}")
        parameters.push_back(path.front());
    else if (pattern.front() != path.front())
        return false;
    return matches(pattern.subspan(1), path.subspan(1), parameters);
}

} // namespace

void Router::add(std::string method, std::string_view pattern, Route route) {
    entries_.push_back({std::move(method), split_path(pattern), std::move(route)});
}

Router::Match Router::find(std::string_view method, std::string_view path) const {
    Match match;
    const std::vector<std::string> segments = split_path(path);
    for (const Entry& entry : entries_) {
        std::vector<std::string> parameters;
        if (!matches(entry.segments, segments, parameters))
            continue;
        match.path_known = true;
        if (entry.method != method)
            continue;
        match.route = &entry.route;
        match.parameters = std::move(parameters);
        return match;
    }
    return match;
}

VersionedPath split_version(const std::string& path) {
    constexpr std::string_view prefix = "/v1.";
    const std::string_view text = path;
    if (!text.starts_with(prefix))
        return {newest_minor, path};
    unsigned minor = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + prefix.size(), end, minor);
    if (error != std::errc() || (rest != end && *rest != '/'))
        return {newest_minor, path};
    if (minor < oldest_minor)
        throw HttpError(400, fmt::format("client version 1.{} is too old. Minimum supported API version is 1.{}, "
                                         "please upgrade your client to a newer version",
                                         minor, oldest_minor));
    if (minor > newest_minor)
        throw HttpError(400, fmt::format("client version 1.{} is too new. Maximum supported API version is 1.{}", minor,
                                         newest_minor));
    return {minor, std::string(rest, end)};
}

} // namespace engine::api
