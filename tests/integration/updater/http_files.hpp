// A tiny HTTP server on loopback for the tests of pulling: serves a directory, and misbehaves when told to.
#pragma once
#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"

namespace updater_test {

class HttpFiles {
public:
    explicit HttpFiles(std::string directory);
    ~HttpFiles();

    std::string url() const;
    unsigned port() const noexcept { return port_; }
    /// After so many answers connections are closed without one; negative: never.
    void die_after(int answers) { answers_left_ = answers; }
    /// Takes requests and does not answer them, while on.
    void stall(bool on) { stalled_ = on; }
    /// Answers in place of us when it returns true; it may write to the connection what it likes.
    using Evil = std::function<bool(const std::string& path, int connection)>;
    void behave(Evil evil);
    /// Writes until the client has had enough; false then.
    static bool send(int connection, std::string_view data);
    /// Paths asked for, in order.
    std::vector<std::string> requests() const;
    void forget_requests();
    /// In bodies of our own answers, since the requests were forgotten last.
    std::uint64_t bytes_sent() const noexcept { return bytes_; }

private:
    void serve();
    void answer(int fd);
    std::string directory_;
    base::UniqueFd listener_;
    unsigned port_ = 0;
    std::atomic<int> answers_left_{-1};
    std::atomic<bool> stalled_{false};
    std::atomic<std::uint64_t> bytes_{0};
    mutable std::mutex mutex_;
    std::vector<std::string> requests_;
    Evil evil_;
    std::vector<base::UniqueFd> held_; ///< connections without an answer
    std::thread thread_;
};

} // namespace updater_test
