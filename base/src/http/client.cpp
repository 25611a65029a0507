#include "base/http/client.hpp"

#include <curl/curl.h>

#include <mutex>

#include "base/error.hpp"

namespace base::http {
namespace {

void initialise_curl() {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

struct SlistDeleter {
    void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};

/// One exchange's state, reached from curl's callback.
struct Exchange {
    CURL* handle;
    const ClientRequest& request;
    ClientResponse response;
    bool stopped = false; ///< on_data wanted no more
    bool too_large = false;
    std::size_t header_bytes = 0;
    std::exception_ptr failure; ///< thrown by on_data: no exception may pass through curl
};

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
    Exchange& exchange = *static_cast<Exchange*>(user);
    const std::string_view part(data, size * count);
    long status = 0;
    curl_easy_getinfo(exchange.handle, CURLINFO_RESPONSE_CODE, &status);
    try {
        if (exchange.request.on_data && status >= 200 && status < 300) {
            exchange.stopped = !exchange.request.on_data(part);
            return exchange.stopped ? 0 : part.size();
        }
        exchange.too_large = exchange.response.body.size() + part.size() > exchange.request.limit;
        if (exchange.too_large)
            return 0;
        exchange.response.body += part;
        return part.size();
    } catch (...) {
        exchange.failure = std::current_exception();
        return 0;
    }
}

// libcurl keeps all headers in memory.
std::size_t on_header(char*, std::size_t size, std::size_t count, void* user) {
    constexpr std::size_t max_headers = 256 * 1024;
    Exchange& exchange = *static_cast<Exchange*>(user);
    exchange.header_bytes += size * count;
    return exchange.header_bytes > max_headers ? 0 : size * count;
}

} // namespace

struct Client::Impl {
    std::string address; ///< for messages
    std::string base;    ///< "http://localhost" or "https://host:port"
    std::string unix_path;
    std::optional<TlsFiles> tls;
    std::string proxy; ///< empty: none
    std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle{curl_easy_init(), curl_easy_cleanup};
};

Client::Client(std::string address, std::optional<TlsFiles> tls) {
    initialise_curl();
    impl_ = std::make_unique<Impl>();
    if (!impl_->handle)
        throw Error("cannot initialise libcurl");
    impl_->tls = std::move(tls);
    if (address.starts_with("unix:")) {
        impl_->unix_path = address.substr(5);
        impl_->base = "http://localhost";
    } else if (address.starts_with("http://") || address.starts_with("https://")) {
        impl_->base = address;
        while (impl_->base.back() == '/')
            impl_->base.pop_back();
    } else {
        throw Error(fmt::format("bad address {}: expected unix:PATH, https://HOST:PORT or http://HOST:PORT", address));
    }
    impl_->address = std::move(address);
}

Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

void Client::use_proxy(std::string url) {
    impl_->proxy = std::move(url);
}

ClientResponse Client::send(const ClientRequest& request) {
    CURL* handle = impl_->handle.get();
    curl_easy_reset(handle); // keeps the connection
    Exchange exchange{handle, request, {}, false, false, 0, nullptr};
    std::array<char, CURL_ERROR_SIZE> error{};
    std::unique_ptr<curl_slist, SlistDeleter> headers;
    const auto add_header = [&](const std::string& text) {
        curl_slist* list = curl_slist_append(headers.get(), text.c_str());
        if (list == nullptr)
            throw std::bad_alloc();
        [[maybe_unused]] auto* moved = headers.release();
        headers.reset(list);
    };
    add_header("Expect:"); // our servers need no 100-continue round trip
    if (request.method != "GET" && request.method != "HEAD")
        add_header("Content-Type: " + request.content_type);
    for (const std::string& header : request.headers)
        add_header(header);

    const std::string url = impl_->base + request.target;
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error.data());
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_PROXY, impl_->proxy.c_str()); // "": none, whatever the environment says
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, 10'000L);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
    if (request.stall.count() > 0) {
        curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1000L);
        curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.stall.count()));
    }
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &exchange);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, &exchange);
    if (!impl_->unix_path.empty())
        curl_easy_setopt(handle, CURLOPT_UNIX_SOCKET_PATH, impl_->unix_path.c_str());
    if (impl_->tls) {
        curl_easy_setopt(handle, CURLOPT_CAINFO, impl_->tls->ca.c_str());
        if (!impl_->tls->certificate.empty()) {
            curl_easy_setopt(handle, CURLOPT_SSLCERT, impl_->tls->certificate.c_str());
            curl_easy_setopt(handle, CURLOPT_SSLKEY, impl_->tls->key.c_str());
        }
    }
    if (request.method == "HEAD") {
        curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
    } else if (request.method != "GET") {
        curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
        curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body.data());
        curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    }
    const CURLcode code = curl_easy_perform(handle);
    if (exchange.failure)
        std::rethrow_exception(exchange.failure);
    if (exchange.too_large)
        throw Error(fmt::format("{}{}: answer larger than {} bytes", impl_->address, request.target, request.limit));
    if (code != CURLE_OK && !exchange.stopped)
        throw Error(fmt::format("{}: {}", impl_->address, error[0] != '\0' ? error.data() : curl_easy_strerror(code)));
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &exchange.response.status);
    return std::move(exchange.response);
}

ClientResponse Client::get(const std::string& target) {
    ClientRequest request;
    request.target = target;
    return send(request);
}

ClientResponse Client::post(const std::string& target, const std::string& body) {
    ClientRequest request;
    request.method = "POST";
    request.target = target;
    request.body = body;
    return send(request);
}

} // namespace base::http
