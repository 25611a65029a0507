// Network namespaces for tests, and sockets in them.
#pragma once
#include <sys/types.h>

#include <functional>
#include <string>

#include "base/unique_fd.hpp"

namespace network_test {

/// The test itself moves into a namespace of its own (once): what it makes is gone with it.
void enter_own_namespace();

/// A process that does nothing in a namespace of its own, as a container's does. Killed with the owner.
class Namespace {
public:
    Namespace();
    ~Namespace();
    Namespace(const Namespace&) = delete;
    Namespace& operator=(const Namespace&) = delete;
    pid_t pid() const noexcept { return pid_; }
    std::string path() const { return "/proc/" + std::to_string(pid_) + "/ns/net"; }
    /// On a thread in the namespace.
    void run(const std::function<void()>& function) const;
    /// Output of a program run in it.
    std::string output(const std::string& shell_command) const;

private:
    pid_t pid_ = -1;
};

/// A server that answers "NAME SEEN-ADDRESS" to every connection or datagram until it goes.
class Server {
public:
    /// In `where`, or in the caller's namespace when null.
    Server(const Namespace* where, const std::string& address, unsigned port, const std::string& name,
           bool udp = false);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

private:
    struct Running;
    std::unique_ptr<Running> running_;
};

/// What the server answers; "error: REASON" when there is no answer within a minute.
std::string ask(const Namespace* from, const std::string& address, unsigned port, bool udp = false);
/// The same where nobody is to answer: a second is waited.
std::string ask_in_vain(const Namespace* from, const std::string& address, unsigned port);

} // namespace network_test
