// TLS in front of HttpFiles, with a certificate for 127.0.0.1 of an authority of its own.
#pragma once
#include <string>
#include <thread>

#include "base/unique_fd.hpp"

namespace updater_test {

class TlsFront {
public:
    /// Makes key, certificate and authority in `directory`; forwards to `port` of 127.0.0.1.
    TlsFront(const std::string& directory, unsigned port);
    ~TlsFront();
    std::string url() const;
    const std::string& authority() const noexcept { return authority_; }

private:
    void serve();
    std::string authority_;
    unsigned behind_;
    unsigned port_ = 0;
    void* context_; ///< SSL_CTX
    base::UniqueFd listener_;
    std::thread thread_;
};

} // namespace updater_test
