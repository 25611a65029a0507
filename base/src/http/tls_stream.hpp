// Server side of mutual TLS on OpenSSL.
#pragma once
#include <memory>
#include <string>

#include "base/host_config.hpp"
#include "base/http/stream.hpp"

namespace base::http {

class TlsContext {
public:
    /// Loads the files. Throws Error naming the one that is bad.
    explicit TlsContext(const TlsFiles& files);
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

    /// The handshake, within 30 s; the client's certificate is verified. Sets `subject` to its common name.
    std::unique_ptr<Stream> accept(UniqueFd fd, std::string& subject) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace base::http
