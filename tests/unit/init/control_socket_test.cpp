#include "control_socket.hpp"

#include <boost/test/unit_test.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "base/files.hpp"

namespace {

using init::Message;
using init::Operation;

struct Recorder final : init::RequestHandler {
    std::vector<std::uint16_t> operations;
    bool from_engine = false;
    void handle(const Message& request, const init::Caller& caller, Message& answer) noexcept override {
        operations.push_back(request.operation);
        from_engine = caller.engine;
        answer.argument = request.argument + 1;
    }
};

struct Server {
    base::TempDir directory;
    std::string path = directory / "init.sock";
    init::ControlSocket socket;
    Recorder recorder;

    Server() { BOOST_REQUIRE(socket.listen(path.c_str()) == 0); }

    /// Serves until nothing is ready.
    void turn() {
        std::array<pollfd, init::ControlSocket::max_polled> entries;
        for (int i = 0; i < 200; ++i) {
            const std::size_t count = socket.prepare_poll(entries);
            if (::poll(entries.data(), static_cast<nfds_t>(count), 0) <= 0)
                return;
            socket.serve(std::span(entries).first(count), recorder);
        }
        BOOST_FAIL("the server does not come to rest");
    }

    base::UniqueFd connect() {
        base::UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strcpy(address.sun_path, path.c_str());
        BOOST_REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        turn();
        return fd;
    }
};

Message request(Operation operation, std::uint64_t argument = 0) {
    Message message{};
    message.magic = init::message_magic;
    message.version = init::message_version;
    message.operation = static_cast<std::uint16_t>(operation);
    message.argument = argument;
    return message;
}

void send_bytes(const base::UniqueFd& fd, const void* data, std::size_t size) {
    BOOST_REQUIRE(::send(fd.get(), data, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size));
}

/// The size of the answer, 0 when the connection is closed, -1 when there is none.
ssize_t receive(const base::UniqueFd& fd, Message& answer) {
    return ::recv(fd.get(), &answer, sizeof answer, MSG_DONTWAIT);
}

} // namespace

BOOST_AUTO_TEST_SUITE(control_socket)

BOOST_AUTO_TEST_CASE(is_for_root_only) {
    const Server server;
    struct stat status {};
    BOOST_REQUIRE(::stat(server.path.c_str(), &status) == 0);
    BOOST_TEST((status.st_mode & 0777) == 0600);
}

BOOST_AUTO_TEST_CASE(answers_a_request) {
    Server server;
    const base::UniqueFd fd = server.connect();
    const Message message = request(Operation::status, 41);
    send_bytes(fd, &message, sizeof message);
    server.turn();
    Message answer;
    BOOST_REQUIRE(receive(fd, answer) == sizeof answer);
    BOOST_TEST(answer.error == 0);
    BOOST_TEST(answer.operation == message.operation);
    BOOST_TEST(answer.argument == 42U);
    BOOST_TEST(!server.recorder.from_engine);
}

BOOST_AUTO_TEST_CASE(engine_alive_has_no_answer_and_the_engine_is_known) {
    Server server;
    const base::UniqueFd fd = server.socket.connect_engine();
    BOOST_REQUIRE(fd);
    const Message message = request(Operation::engine_alive);
    send_bytes(fd, &message, sizeof message);
    server.turn();
    Message answer;
    BOOST_TEST(receive(fd, answer) == -1);
    BOOST_TEST(server.recorder.from_engine);
    // The next engined takes the place of this one.
    const base::UniqueFd next = server.socket.connect_engine();
    BOOST_TEST(receive(fd, answer) == 0);
}

BOOST_AUTO_TEST_CASE(what_is_no_request_reaches_nobody) {
    Server server;
    const base::UniqueFd fd = server.connect();
    Message answer;
    const Message good = request(Operation::reboot);

    Message bad = good;
    bad.magic = 0;
    send_bytes(fd, &bad, sizeof bad);
    server.turn();
    BOOST_REQUIRE(receive(fd, answer) == sizeof answer);
    BOOST_TEST(answer.error == EPROTO);

    bad = good;
    bad.version = 99;
    send_bytes(fd, &bad, sizeof bad);
    server.turn();
    BOOST_REQUIRE(receive(fd, answer) == sizeof answer);
    BOOST_TEST(answer.error == EPROTONOSUPPORT);

    bad = good;
    bad.length = sizeof bad.payload + 1;
    send_bytes(fd, &bad, sizeof bad);
    server.turn();
    BOOST_REQUIRE(receive(fd, answer) == sizeof answer);
    BOOST_TEST(answer.error == EPROTO);

    for (const std::size_t size : {std::size_t{1}, std::size_t{8}, sizeof good - 1}) {
        send_bytes(fd, &good, size);
        server.turn();
        BOOST_REQUIRE(receive(fd, answer) == sizeof answer);
        BOOST_TEST(answer.error == EPROTO);
    }
    std::vector<char> large(sizeof good + 1);
    std::memcpy(large.data(), &good, sizeof good);
    send_bytes(fd, large.data(), large.size());
    server.turn();
    BOOST_REQUIRE(receive(fd, answer) == sizeof answer);
    BOOST_TEST(answer.error == EPROTO);
    BOOST_TEST(server.recorder.operations.empty());
}

BOOST_AUTO_TEST_CASE(refuses_other_users) {
    if (::geteuid() != 0) {
        BOOST_TEST_MESSAGE("not root: another user cannot be played");
        return;
    }
    Server server;
    BOOST_REQUIRE(::chmod(server.directory.path().c_str(), 0755) == 0);
    BOOST_REQUIRE(::chmod(server.path.c_str(), 0666) == 0); // so that only the check of the peer is in the way
    BOOST_REQUIRE(::seteuid(65534) == 0);
    const base::UniqueFd fd = server.connect();
    BOOST_REQUIRE(::seteuid(0) == 0);
    Message answer;
    BOOST_TEST(receive(fd, answer) == 0);
}

BOOST_AUTO_TEST_CASE(the_silent_make_room_but_never_the_engine) {
    Server server;
    const base::UniqueFd engine = server.socket.connect_engine();
    std::vector<base::UniqueFd> crowd;
    for (std::size_t i = 0; i < 3 * init::ControlSocket::max_connections; ++i)
        crowd.push_back(server.connect());
    const Message message = request(Operation::engine_alive);
    send_bytes(engine, &message, sizeof message);
    const Message last = request(Operation::status);
    send_bytes(crowd.back(), &last, sizeof last);
    server.turn();
    BOOST_TEST(server.recorder.operations.size() == 2U);
    Message answer;
    BOOST_TEST(receive(crowd.back(), answer) == static_cast<ssize_t>(sizeof answer));
    BOOST_TEST(receive(crowd.front(), answer) == 0);
}

BOOST_AUTO_TEST_CASE(who_does_not_read_is_disconnected_and_nobody_waits) {
    Server server;
    const base::UniqueFd fd = server.connect();
    const Message message = request(Operation::status);
    ssize_t sent = 0;
    for (int i = 0; i < 5000 && sent >= 0; ++i) {
        sent = ::send(fd.get(), &message, sizeof message, MSG_DONTWAIT | MSG_NOSIGNAL);
        server.turn();
    }
    BOOST_TEST(sent < 0);
    BOOST_TEST(errno == EPIPE);
}

BOOST_AUTO_TEST_SUITE_END()
