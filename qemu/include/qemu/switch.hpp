// A virtual Ethernet switch between machines: no root, no bridge of the host. Each port is one end of a pair of
// datagram sockets, one frame a datagram, as QEMU's `-netdev dgram` speaks. Cables can be cut pairwise and silently
// (unlike Machine::set_link, which the guest sees), frames delayed or lost.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/unique_fd.hpp"

namespace qemu {

class Switch {
public:
    struct Counters {
        std::uint64_t forwarded = 0; ///< copies sent
        std::uint64_t cut = 0;       ///< copies not sent because of `cut`
        std::uint64_t lost = 0;      ///< copies lost on purpose by `set_loss`
        std::uint64_t refused = 0;   ///< bad frames, and copies whose receiver was full or gone
    };

    Switch();
    ~Switch();
    Switch(const Switch&) = delete;
    Switch& operator=(const Switch&) = delete;

    /// The machine's end of a port. A name that is plugged in already is unplugged first: a machine that restarts.
    base::UniqueFd plug(const std::string& name);
    void unplug(const std::string& name);

    /// No frame passes between the two ports, in either direction, until `heal`. They need not be plugged in.
    void cut(const std::string& one, const std::string& other);
    void heal(const std::string& one, const std::string& other);
    void heal_all();
    /// How long every frame takes; 0: at once. Order is kept.
    void set_delay(std::chrono::milliseconds delay);
    /// Share of copies that are lost, 0 to 1; the same `seed` loses the same ones of the same traffic.
    void set_loss(double share, std::uint64_t seed);

    Counters counters() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace qemu
