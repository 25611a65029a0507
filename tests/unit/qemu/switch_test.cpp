#include "qemu/switch.hpp"

#include <boost/test/unit_test.hpp>

#include <poll.h>
#include <sys/socket.h>

namespace {

constexpr const char* broadcast = "\xff\xff\xff\xff\xff\xff";

std::string mac(char last) {
    return std::string("\x52\x54\x00\x00\x00", 5) + last;
}

/// A machine: says frames, and tells what it hears.
struct Host {
    Host(qemu::Switch& network, const std::string& name, char address)
        : own(mac(address)), socket(network.plug(name)) {}
    void say(const std::string& to, const std::string& text) const {
        const std::string frame = to + own + std::string("\x88\xb5", 2) + text;
        pollfd wait{socket.get(), POLLOUT, 0};
        BOOST_REQUIRE(::poll(&wait, 1, 5000) == 1);
        BOOST_REQUIRE(::send(socket.get(), frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size()));
    }
    /// The text of the next frame; "" when none comes in time.
    std::string hear(int milliseconds = 5000) const {
        pollfd wait{socket.get(), POLLIN, 0};
        if (::poll(&wait, 1, milliseconds) != 1)
            return {};
        std::array<char, 2048> frame{};
        const ssize_t size = ::recv(socket.get(), frame.data(), frame.size(), 0);
        return size < 14 ? std::string() : std::string(frame.data() + 14, static_cast<std::size_t>(size) - 14);
    }
    std::string own;
    base::UniqueFd socket;
};

struct Fixture {
    qemu::Switch network;
    Host a{network, "a", 'A'};
    Host b{network, "b", 'B'};
    Host c{network, "c", 'C'};
    /// Everybody has spoken, so the switch knows where each address is.
    void introduce() {
        for (const Host* host : {&a, &b, &c})
            host->say(broadcast, "hello");
        for (const Host* host : {&a, &b, &c})
            for (int i = 0; i < 2; ++i)
                BOOST_REQUIRE(host->hear() == "hello");
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(network_switch, Fixture)

BOOST_AUTO_TEST_CASE(unknown_and_broadcast_go_everywhere_else) {
    a.say(b.own, "who");
    BOOST_TEST(b.hear() == "who");
    BOOST_TEST(c.hear() == "who");
    b.say(broadcast, "all");
    BOOST_TEST(a.hear() == "all"); // and not its own "who" before it
    BOOST_TEST(c.hear() == "all");
}

BOOST_AUTO_TEST_CASE(a_known_address_is_heard_at_its_port_only) {
    introduce();
    a.say(b.own, "for b");
    a.say(c.own, "for c");
    BOOST_TEST(b.hear() == "for b");
    BOOST_TEST(c.hear() == "for c"); // the frame for b would have come first
    BOOST_TEST(network.counters().forwarded == 8U);
}

BOOST_AUTO_TEST_CASE(an_address_that_moves_is_followed) {
    introduce();
    c.own = b.own;
    c.say(a.own, "moved");
    BOOST_TEST(a.hear() == "moved");
    a.say(b.own, "to the new place");
    BOOST_TEST(c.hear() == "to the new place");
}

BOOST_AUTO_TEST_CASE(cut_is_pairwise_and_both_ways) {
    introduce();
    network.cut("b", "a");
    a.say(b.own, "lost");
    b.say(a.own, "lost");
    a.say(c.own, "passes");
    BOOST_TEST(c.hear() == "passes");
    b.say(c.own, "passes too");
    BOOST_TEST(c.hear() == "passes too");
    network.heal("a", "b");
    a.say(b.own, "again");
    BOOST_TEST(b.hear() == "again");
    BOOST_TEST(network.counters().cut == 2U);
}

BOOST_AUTO_TEST_CASE(delay_keeps_order) {
    introduce();
    network.set_delay(std::chrono::milliseconds(60));
    const auto begin = std::chrono::steady_clock::now();
    a.say(b.own, "first");
    BOOST_TEST(b.hear() == "first");
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(60)));
    a.say(b.own, "second");
    b.say(a.own, "so that the second is on its way");
    BOOST_TEST(a.hear() == "so that the second is on its way");
    network.set_delay(std::chrono::milliseconds(0));
    a.say(b.own, "third");
    BOOST_TEST(b.hear() == "second");
    BOOST_TEST(b.hear() == "third");
}

BOOST_AUTO_TEST_CASE(loss_is_as_asked) {
    introduce();
    network.set_loss(0.5, 1);
    for (int i = 0; i < 100; ++i)
        a.say(b.own, "maybe");
    unsigned heard = 0;
    const auto over = [this] {
        return network.counters().lost + network.counters().forwarded == 6U + 100U;
    };
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!over() && std::chrono::steady_clock::now() < limit)
        heard += b.hear(10) == "maybe" ? 1U : 0U;
    while (b.hear(0) == "maybe")
        ++heard;
    BOOST_TEST(over());
    BOOST_TEST(heard == 100U - network.counters().lost);
    BOOST_TEST(heard > 20U);
    BOOST_TEST(heard < 80U);
}

BOOST_AUTO_TEST_CASE(a_machine_that_restarts_takes_its_port_again) {
    introduce();
    Host again(network, "b", 'B');
    a.say(b.own, "where are you");
    BOOST_TEST(again.hear() == "where are you");
    BOOST_TEST(c.hear() == "where are you"); // its place was forgotten with the old plug
    BOOST_TEST(b.hear(0).empty());
    network.unplug("c");
    a.say(broadcast, "who is left");
    BOOST_TEST(again.hear() == "who is left");
    BOOST_TEST(c.hear(0).empty());
}

BOOST_AUTO_TEST_CASE(a_frame_without_addresses_is_refused) {
    BOOST_REQUIRE(::send(a.socket.get(), "short", 5, 0) == 5);
    a.say(broadcast, "whole");
    BOOST_TEST(b.hear() == "whole");
    BOOST_TEST(network.counters().refused == 1U);
}

BOOST_AUTO_TEST_SUITE_END()
