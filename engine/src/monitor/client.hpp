// One connection to the monitor.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"
#include "engine/monitor_protocol.hpp"

namespace engine::monitor {

/// Sends packets without blocking; what the socket does not take at once waits here.
class Client {
public:
    explicit Client(base::UniqueFd fd) noexcept : fd_(std::move(fd)) {}

    int fd() const noexcept { return fd_.get(); }
    bool gone() const noexcept { return !fd_; }
    void drop() noexcept;

    bool greeted() const noexcept { return greeted_; }
    bool is_control() const noexcept { return greeted_ && role_ == Role::control; }
    bool is_attached() const noexcept { return greeted_ && role_ == Role::attach; }
    bool wants(std::uint32_t stream) const noexcept { return is_attached() && (streams_ & stream) != 0; }
    /// What both ends know: the smaller of the client's version and ours.
    std::uint32_t version() const noexcept { return version_; }
    /// True once, for a good hello.
    bool greet(std::string_view payload) noexcept;

    void send(MessageType type, std::uint16_t detail, std::string_view payload, std::string_view more = {});
    bool has_pending() const noexcept { return !pending_.empty(); }
    void flush();

private:
    base::UniqueFd fd_;
    bool greeted_ = false;
    std::uint32_t version_ = 0;
    Role role_ = Role::control;
    std::uint32_t streams_ = 0;
    std::vector<std::string> pending_; ///< whole packets
};

} // namespace engine::monitor
