// Monitors and engines of different releases. The packets of version 1 stand here as numbers, not as the structs of
// the header: whoever changes those in a way that a running monitor does not understand fails here.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "base/error.hpp"
#include "monitor_fixture.hpp"

namespace {

using namespace monitor_test;

constexpr std::uint32_t magic = 0x4e4d5441;
enum Type : std::uint16_t { hello = 1, start = 2, get_state = 5, state = 6 };

/// Numbers of 16, 32 and 64 bits in host order, one after the other.
template <typename... Numbers>
std::string packed(Numbers... numbers) {
    std::string bytes;
    (bytes.append(reinterpret_cast<const char*>(&numbers), sizeof numbers), ...);
    return bytes;
}

std::string packet(std::uint16_t type, const std::string& payload = {}) {
    return packed(type, std::uint16_t{0}, static_cast<std::uint32_t>(payload.size())) + payload;
}

template <typename Number>
Number number_at(const std::string& bytes, std::size_t offset) {
    if (offset + sizeof(Number) > bytes.size())
        throw base::Error(fmt::format("a packet of {} bytes has nothing at {}", bytes.size(), offset));
    Number number;
    std::memcpy(&number, bytes.data() + offset, sizeof number);
    return number;
}

/// Phase, process, exit code, signal, start and end.
std::string state_bytes(std::uint32_t phase, std::int32_t pid, std::int32_t code = 0) {
    return packed(phase, pid, code, std::int32_t{0}, std::int64_t{0}, std::int64_t{0});
}

std::string hello_of_a_monitor(std::uint32_t version) {
    return packed(magic, version, std::int32_t{77}, std::uint32_t{0}) + state_bytes(2, 78);
}

/// A socket that speaks in whole packets. Throws, and checks nothing: Boost.Test's checks belong to the main thread.
class Peer {
public:
    explicit Peer(base::UniqueFd fd) : fd_(std::move(fd)) {
        const timeval limit{30, 0};
        base::check(::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), "set a limit");
    }
    void send(const std::string& bytes) {
        base::check(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), "send a packet");
    }
    std::string receive() {
        std::string bytes(65536, '\0');
        const ssize_t size = base::check(::recv(fd_.get(), bytes.data(), bytes.size(), 0), "receive a packet");
        bytes.resize(static_cast<std::size_t>(size));
        if (number_at<std::uint32_t>(bytes, 4) != bytes.size() - 8)
            throw base::Error("a packet's size is not what its header says");
        return bytes;
    }

private:
    base::UniqueFd fd_;
};

Peer connect_to(const std::string& run_directory) {
    base::UniqueFd fd(base::check(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), "socket"));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = run_directory + "/monitor.sock";
    BOOST_REQUIRE(path.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.c_str(), path.size());
    base::check(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "connect " + path);
    return Peer(std::move(fd));
}

/// Speaks for a monitor of another release: takes one connection, says `greeting`, then runs `rest`.
template <typename Rest>
std::thread other_monitor(const std::string& directory, std::string greeting, Rest rest) {
    return std::thread([listener = engine::listen_for_monitor(directory), greeting = std::move(greeting), rest] {
        pollfd caller{listener.get(), POLLIN, 0}; // the listener does not block
        base::check(::poll(&caller, 1, 30'000), "wait for a caller");
        Peer peer(base::UniqueFd(base::check(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept")));
        peer.receive();
        peer.send(packet(hello, greeting));
        rest(peer);
    });
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(monitor_versions, MonitorFixture)

BOOST_AUTO_TEST_CASE(an_engine_of_version_1_lives_through_a_container) {
    command("exit 5");
    start_monitor();
    Peer engine = connect_to(options.run_directory);
    engine.send(packet(hello, packed(magic, std::uint32_t{1}, std::uint32_t{1}, std::uint32_t{0})));
    const std::string greeting = engine.receive();
    BOOST_TEST(number_at<std::uint16_t>(greeting, 0) == hello);
    BOOST_TEST(number_at<std::uint32_t>(greeting, 8) == magic);
    BOOST_TEST(number_at<std::uint32_t>(greeting, 12) == 1U);
    BOOST_TEST(number_at<std::int32_t>(greeting, 16) == monitor);
    std::uint32_t phase = number_at<std::uint32_t>(greeting, 24);
    for (bool started = false; phase != 5;) {
        if (phase == 2 && !std::exchange(started, true))
            engine.send(packet(start));
        const std::string told = engine.receive();
        if (number_at<std::uint16_t>(told, 0) != state)
            continue;
        phase = number_at<std::uint32_t>(told, 8);
        BOOST_REQUIRE(phase != 6U);
        if (phase == 4)
            BOOST_TEST(number_at<std::int32_t>(told, 12) > 0);
        if (phase == 5)
            BOOST_TEST(number_at<std::int32_t>(told, 16) == 5);
    }
    BOOST_TEST(monitor_end() == 0);
}

BOOST_AUTO_TEST_CASE(a_later_engine_is_answered_in_what_the_monitor_knows) {
    command("exit 0");
    start_monitor();
    Peer engine = connect_to(options.run_directory);
    // Versions to come may add to the end of a payload.
    engine.send(packet(hello, packed(magic, std::uint32_t{9}, std::uint32_t{1}, std::uint32_t{0}, std::uint64_t{1})));
    BOOST_TEST(number_at<std::uint32_t>(engine.receive(), 12) == engine::monitor::protocol_version);
    engine.send(packet(999, "a message to come"));
    engine.send(packet(get_state));
    BOOST_TEST(number_at<std::uint16_t>(engine.receive(), 0) == state);
}

BOOST_AUTO_TEST_CASE(a_monitor_of_version_1_is_taken_over) {
    std::uint16_t asked = 0;
    std::thread other = other_monitor(options.run_directory, hello_of_a_monitor(1), [&asked](Peer& peer) {
        asked = number_at<std::uint16_t>(peer.receive(), 0);
        peer.send(packet(999, "unknown"));
        peer.send(packet(state, state_bytes(5, 78, 3) + "the error's text"));
    });
    auto connection = control();
    BOOST_TEST(connection->monitor_pid() == 77);
    BOOST_TEST(connection->state().state.pid == 78);
    connection->send(MessageType::get_state);
    const ParsedState ended = await(*connection, Phase::exited);
    BOOST_TEST(ended.state.exit_code == 3);
    BOOST_TEST(ended.error == "the error's text");
    other.join();
    BOOST_TEST(asked == get_state);
}

BOOST_AUTO_TEST_CASE(a_monitor_that_speaks_a_version_to_come_is_refused_by_name) {
    std::thread other = other_monitor(options.run_directory, hello_of_a_monitor(99), [](Peer&) {});
    BOOST_CHECK_EXCEPTION(
        MonitorConnection::connect(options.run_directory, Role::control), base::Error,
        [](const base::Error& error) { return base::error_chain(error).find("version 99") != std::string::npos; });
    other.join();
}

BOOST_AUTO_TEST_SUITE_END()
