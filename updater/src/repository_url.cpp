#include "base/error.hpp"
#include "base/http/client.hpp"
#include "updater/update_pull.hpp"

namespace updater {

std::string fetch_small_file(const std::string& url, const std::string& path, std::size_t limit) {
    const std::size_t scheme = url.find("://");
    if (scheme == std::string::npos || (!url.starts_with("http://") && !url.starts_with("https://")))
        throw base::Error(url + ": not the URL of a repository (http or https)");
    const std::size_t slash = std::min(url.find('/', scheme + 3), url.size());
    std::string prefix = url.substr(slash);
    while (!prefix.empty() && prefix.back() == '/')
        prefix.pop_back();

    base::http::Client client(url.substr(0, slash));
    base::http::ClientRequest request;
    request.target = prefix + "/" + path;
    request.limit = limit;
    const base::http::ClientResponse response =
        base::with_context("fetch " + request.target, [&] { return client.send(request); });
    if (!response.ok())
        throw base::Error(fmt::format("fetch {}/{}: the server answered {}", url, path, response.status));
    return response.body;
}

} // namespace updater
