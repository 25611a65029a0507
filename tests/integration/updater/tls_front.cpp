#include "tls_front.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"

namespace updater_test {

namespace {

sockaddr_in loopback(unsigned port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return address;
}

/// One request, and the answer to it until the server closes.
void forward(SSL* client, unsigned port) {
    std::string request;
    std::array<char, 16384> buffer;
    while (request.find("\r\n\r\n") == std::string::npos) {
        const int size = ::SSL_read(client, buffer.data(), buffer.size());
        if (size <= 0)
            return;
        request.append(buffer.data(), static_cast<std::size_t>(size));
    }
    const base::UniqueFd server(base::check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    const sockaddr_in address = loopback(port);
    base::check(::connect(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "connect");
    base::write_all(server.get(), request, "the server");
    for (;;) {
        const ssize_t size = ::recv(server.get(), buffer.data(), buffer.size(), 0);
        if (size <= 0 || ::SSL_write(client, buffer.data(), static_cast<int>(size)) <= 0)
            return;
    }
}

} // namespace

TlsFront::TlsFront(const std::string& directory, unsigned port) : authority_(directory + "/ca.pem"), behind_(port) {
    base::make_directories(directory);
    const std::string key = directory + "/key.pem";
    base::run_checked({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                       "-keyout", key, "-out", authority_, "-days", "2", "-subj", "/CN=test", "-addext",
                       "subjectAltName=IP:127.0.0.1"});
    SSL_CTX* context = ::SSL_CTX_new(::TLS_server_method());
    context_ = context;
    if (::SSL_CTX_use_certificate_file(context, authority_.c_str(), SSL_FILETYPE_PEM) != 1 ||
        ::SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
        throw base::Error("load the certificate " + authority_);
    listener_.reset(base::check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    base::check(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), "bind");
    constexpr int backlog = 64;
    base::check(::listen(listener_.get(), backlog), "listen");
    base::check(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
}

TlsFront::~TlsFront() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    ::SSL_CTX_free(static_cast<SSL_CTX*>(context_));
}

std::string TlsFront::url() const {
    return fmt::format("https://127.0.0.1:{}", port_);
}

void TlsFront::serve() {
    for (;;) {
        const base::UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!peer)
            return;
        SSL* client = ::SSL_new(static_cast<SSL_CTX*>(context_));
        ::SSL_set_fd(client, peer.get());
        try {
            if (::SSL_accept(client) == 1) {
                forward(client, behind_);
                ::SSL_shutdown(client);
            }
        } catch (const base::Error&) { // the client went away
        }
        ::SSL_free(client);
    }
}

} // namespace updater_test
