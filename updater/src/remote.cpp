#include "updater/remote.hpp"

#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/http/client.hpp"
#include "base/scope_exit.hpp"
#include "base/sha256.hpp"

namespace updater {

namespace {

struct Address {
    std::string server; ///< "https://host:port"
    std::string prefix; ///< "/path" without a slash at the end
};

Address split(const std::string& url) {
    const std::size_t scheme = url.find("://");
    if (scheme == std::string::npos || (!url.starts_with("http://") && !url.starts_with("https://")))
        throw base::Error(url + ": not the URL of a repository (http or https)");
    const std::size_t slash = std::min(url.find('/', scheme + 3), url.size());
    std::string prefix = url.substr(slash);
    while (!prefix.empty() && prefix.back() == '/')
        prefix.pop_back();
    return {url.substr(0, slash), prefix};
}

base::http::Client make_client(const Remote& remote, const std::string& server) {
    std::optional<base::TlsFiles> tls;
    if (!remote.ca.empty())
        tls = base::TlsFiles{remote.ca, "", ""};
    base::http::Client client(server, tls);
    if (!remote.proxy.empty())
        client.use_proxy(remote.proxy);
    return client;
}

base::http::ClientResponse send(const Remote& remote, const std::string& path, base::http::ClientRequest request) {
    const Address address = split(remote.url);
    base::http::Client client = make_client(remote, address.server);
    request.target = address.prefix + "/" + path;
    return base::with_context("fetch " + request.target, [&] { return client.send(request); });
}

[[noreturn]] void unexpected(const Remote& remote, const std::string& path, long status) {
    throw base::Error(fmt::format("fetch {}/{}: the server answered {}", remote.url, path, status));
}

bool is_complete(const std::string& path, std::uint64_t size, const std::string& sha256) {
    std::error_code error;
    if (std::filesystem::file_size(path, error) != size || error)
        return false;
    const base::UniqueFd fd = base::open_file(path, O_RDONLY);
    base::Sha256 digest;
    std::array<char, 65536> buffer;
    for (;;) {
        const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR)
            continue;
        base::check(static_cast<int>(count < 0 ? -1 : 0), "read " + path);
        if (count == 0)
            return digest.finish_hex() == sha256;
        digest.update(std::string_view(buffer.data(), static_cast<std::size_t>(count)));
    }
}

} // namespace

std::optional<std::string> Remote::fetch_if_there(const std::string& path, std::size_t limit) const {
    base::http::ClientRequest request;
    request.limit = limit;
    const base::http::ClientResponse response = send(*this, path, std::move(request));
    constexpr long not_found = 404;
    constexpr long gone = 410;
    if (response.status == not_found || response.status == gone)
        return std::nullopt;
    if (!response.ok())
        unexpected(*this, path, response.status);
    return response.body;
}

std::string Remote::fetch(const std::string& path, std::size_t limit) const {
    std::optional<std::string> content = fetch_if_there(path, limit);
    if (!content)
        throw base::Error(ENOENT, fmt::format("fetch {}/{}", url, path));
    return std::move(*content);
}

void Remote::fetch_file(const std::string& path, std::uint64_t size, const std::string& sha256,
                        const std::string& target, const std::function<void(std::uint64_t)>& progress) const {
    if (is_complete(target, size, sha256)) {
        progress(size);
        return;
    }
    const std::string part = target + ".part";
    base::UniqueFd fd = base::open_file(part, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    base::ScopeExit remove([&part] { ::unlink(part.c_str()); });
    base::Sha256 digest;
    std::uint64_t received = 0;
    base::http::ClientRequest request;
    request.timeout = std::chrono::milliseconds(0);
    request.stall = stall;
    request.on_data = [&](std::string_view data) {
        received += data.size();
        if (received > size)
            throw base::Error(EFBIG,
                              fmt::format("fetch {}/{}: more than the {} bytes it should have", url, path, size));
        digest.update(data);
        base::write_all(fd.get(), data, part);
        progress(data.size());
        return true;
    };
    const base::http::ClientResponse response = send(*this, path, std::move(request));
    if (!response.ok())
        unexpected(*this, path, response.status);
    if (received != size || digest.finish_hex() != sha256)
        throw base::Error(fmt::format("fetch {}/{}: not the {} bytes that were announced", url, path, size));
    base::check(::fsync(fd.get()), "fsync " + part);
    base::checked_close(std::move(fd), part);
    base::check(::rename(part.c_str(), target.c_str()), "rename " + part);
    remove.dismiss();
}

} // namespace updater
