#include "tls_stream.hpp"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/socket.h>

#include <mutex>

#include "base/error.hpp"
#include "stream_wait.hpp"

namespace base::http {
namespace {

constexpr std::chrono::milliseconds handshake_timeout{30'000};

std::string openssl_reason() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
    return reason != nullptr ? reason : "unknown error";
}

[[noreturn]] void throw_openssl(const std::string& operation) {
    throw Error(operation + ": " + openssl_reason());
}

struct SslDeleter {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
};
using SslPointer = std::unique_ptr<SSL, SslDeleter>;

/// An SSL object may not be used by two threads at once; so the lock is held during calls, which do not block, and
/// never while waiting.
class TlsStream final : public Stream {
public:
    TlsStream(UniqueFd fd, SslPointer ssl) : fd_(std::move(fd)), ssl_(std::move(ssl)) {}

    void handshake() {
        read_timeout_ = handshake_timeout;
        retry("TLS handshake", [&] { return SSL_accept(ssl_.get()); });
        read_timeout_.reset();
    }

    std::size_t read(char* buffer, std::size_t size) override {
        std::size_t count = 0;
        const bool open =
            retry("read from TLS connection", [&] { return SSL_read_ex(ssl_.get(), buffer, size, &count); });
        return open ? count : 0;
    }

    void write(std::string_view data) override {
        while (!data.empty()) {
            std::size_t count = 0;
            if (!retry("write to TLS connection",
                       [&] { return SSL_write_ex(ssl_.get(), data.data(), data.size(), &count); }))
                throw Error(EPIPE, "write to TLS connection");
            data.remove_prefix(count);
        }
    }

    void shutdown_write() noexcept override {
        const std::scoped_lock lock(mutex_);
        SSL_shutdown(ssl_.get()); // sends close_notify; the peer's is not awaited
        ERR_clear_error();
    }
    void abort() noexcept override { ::shutdown(fd_.get(), SHUT_RDWR); }
    int fd() const noexcept override { return fd_.get(); }

    std::string subject() const {
        const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(ssl_.get()), X509_free);
        if (!certificate)
            throw Error("TLS handshake: no client certificate");
        std::array<char, 256> name{};
        const int length = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName,
                                                     name.data(), static_cast<int>(name.size()));
        return length > 0 ? std::string(name.data(), static_cast<std::size_t>(length)) : std::string();
    }

private:
    /// Calls until it is done; false at the end of the connection.
    template <typename F>
    bool retry(const char* operation, F&& call) {
        for (;;) {
            int error = SSL_ERROR_NONE;
            int saved = 0;
            {
                const std::scoped_lock lock(mutex_);
                ERR_clear_error();
                errno = 0;
                const int result = call();
                saved = errno;
                if (result > 0)
                    return true;
                error = SSL_get_error(ssl_.get(), result);
            }
            switch (error) {
            case SSL_ERROR_WANT_READ:
                wait_ready(fd_.get(), POLLIN, read_timeout_, operation);
                break;
            case SSL_ERROR_WANT_WRITE:
                wait_ready(fd_.get(), POLLOUT, write_timeout, operation);
                break;
            case SSL_ERROR_ZERO_RETURN:
                return false;
            case SSL_ERROR_SYSCALL:
                throw Error(saved != 0 ? saved : ECONNRESET, operation);
            default: {
                // A peer that closes the connection without close_notify has only ended its data, as far as HTTP
                // with lengths and chunks can tell.
                const std::string reason = openssl_reason();
                if (reason == "unexpected eof while reading")
                    return false;
                throw Error(std::string(operation) + ": " + reason);
            }
            }
        }
    }

    UniqueFd fd_;
    SslPointer ssl_;
    std::mutex mutex_;
};

} // namespace

struct TlsContext::Impl {
    std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{SSL_CTX_new(TLS_server_method()), SSL_CTX_free};
};

TlsContext::TlsContext(const TlsFiles& files) : impl_(std::make_unique<Impl>()) {
    SSL_CTX* context = impl_->context.get();
    if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
        throw_openssl("initialise TLS");
    if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1)
        throw_openssl("load certificate " + files.certificate);
    if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1)
        throw_openssl("load key " + files.key);
    if (SSL_CTX_check_private_key(context) != 1)
        throw_openssl(fmt::format("key {} does not belong to certificate {}", files.key, files.certificate));
    if (SSL_CTX_load_verify_locations(context, files.ca.c_str(), nullptr) != 1)
        throw_openssl("load certificate authority " + files.ca);
    SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(files.ca.c_str()));
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // No resumption: every connection verifies its certificate anew.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_num_tickets(context, 0);
}

TlsContext::~TlsContext() = default;

std::unique_ptr<Stream> TlsContext::accept(UniqueFd fd, std::string& subject) const {
    const int flags = check(::fcntl(fd.get(), F_GETFL), "fcntl");
    check(::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK), "fcntl");
    SslPointer ssl(SSL_new(impl_->context.get()));
    if (!ssl || SSL_set_fd(ssl.get(), fd.get()) != 1)
        throw_openssl("TLS handshake");
    auto stream = std::make_unique<TlsStream>(std::move(fd), std::move(ssl));
    stream->handshake();
    subject = stream->subject();
    return stream;
}

} // namespace base::http
