#include <sys/socket.h>
#include <sys/un.h>

#include <boost/test/unit_test.hpp>

#include <thread>

#include "base/files.hpp"
#include "base/http/local_client.hpp"
#include "base/http/server.hpp"

using namespace base::http;

namespace {

/// A server on a unix socket of its own with a few routes.
struct Rig {
    base::TempDir dir;
    std::string path = dir / "s";
    Server server;

    Rig() {
        server.listen_unix(path, 0600, [](Request& request, Response& response) { route(request, response); });
        server.start();
    }

    static void route(Request& request, Response& response) {
        response.common_headers = {{"Api-Version", "1"}};
        if (request.path == "/echo") {
            response.send(200, request.body(8'000'000), "text/plain");
        } else if (request.path == "/query") {
            response.send(200, request.query_value("a") + "|" + request.query_value("b"), "text/plain");
        } else if (request.path == "/stream") {
            response.begin(200, "text/plain");
            for (int i = 0; i < 3; ++i)
                response.write(std::to_string(i));
            response.end();
        } else if (request.path == "/broken") {
            response.begin(200, "text/plain");
            response.write("half");
            throw base::Error("broke");
        } else if (request.path == "/hijack") {
            Stream& stream = response.hijack("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
            std::array<char, 100> buffer;
            while (const std::size_t count = stream.read(buffer.data(), buffer.size()))
                stream.write({buffer.data(), count});
        } else if (request.path == "/ignore-body") {
            response.send(200, "fine", "text/plain");
        } else if (request.path == "/crash") {
            throw std::runtime_error("a bug");
        } else {
            throw HttpError(404, "no such thing: " + request.path);
        }
    }

    Client client() const { return Client("unix:" + path); }

    /// Sends raw bytes on a connection of its own and returns all that comes back.
    std::string raw(std::string_view text) const {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.c_str(), path.size());
        const base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        BOOST_REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        base::write_all(fd.get(), text, "socket");
        ::shutdown(fd.get(), SHUT_WR);
        return base::read_fd(fd.get(), 1'000'000, "socket");
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(http)

BOOST_AUTO_TEST_CASE(bodies_of_all_sizes) {
    const Rig rig;
    Client client = rig.client();
    for (const std::size_t size : {0UL, 1UL, 16'384UL, 5'000'000UL}) {
        const std::string body(size, 'x');
        const auto response = client.post("/echo", body);
        BOOST_TEST(response.status == 200);
        BOOST_TEST((response.body == body));
    }
    BOOST_TEST(client.post("/echo", std::string(9'000'000, 'x')).status == 413);
}

BOOST_AUTO_TEST_CASE(local_client) {
    const Rig rig;
    const LocalClient client("unix:" + rig.path);
    ClientRequest request;
    for (const std::size_t size : {0UL, 1UL, 5'000'000UL}) {
        request.method = "POST";
        request.target = "/echo";
        request.body = std::string(size, 'x');
        const ClientResponse response = client.send(request);
        BOOST_TEST(response.status == 200);
        BOOST_TEST((response.body == request.body));
    }
    request.limit = 4'999'999;
    BOOST_CHECK_EXCEPTION(client.send(request), base::Error, [](const std::exception& error) {
        return base::error_chain(error).ends_with("answer larger than 4999999 bytes");
    });
    request = {};
    request.target = "/stream";
    BOOST_TEST(client.send(request).body == "012");
    request.method = "HEAD";
    BOOST_TEST(client.send(request).body == "");
    request.method = "GET";
    request.target = "/nothing";
    BOOST_TEST(client.send(request).status == 404);
    request.target = "/broken";
    BOOST_CHECK_THROW(client.send(request), base::Error); // never a whole answer
    request.target = "/two words";
    BOOST_CHECK_THROW(client.send(request), base::Error);
    BOOST_CHECK_THROW(LocalClient("http://127.0.0.1:1"), base::Error);
    BOOST_CHECK_THROW(LocalClient("unix:" + rig.path + ".none").send(request), base::Error);
}

BOOST_AUTO_TEST_CASE(local_client_gives_up_a_silent_server) {
    const base::TempDir directory("silent");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (directory / "socket").copy(address.sun_path, sizeof address.sun_path - 1);
    const base::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    BOOST_REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    BOOST_REQUIRE(::listen(listener.get(), 1) == 0); // nobody accepts
    ClientRequest request;
    request.target = "/";
    request.timeout = std::chrono::milliseconds(20);
    BOOST_CHECK_EXCEPTION(
        LocalClient("unix:" + (directory / "socket")).send(request), base::Error,
        [](const std::exception& error) { return base::error_chain(error).find("timed out") != std::string::npos; });
}

BOOST_AUTO_TEST_CASE(local_client_takes_cut_answers_for_errors) {
    const base::TempDir directory("cut");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (directory / "socket").copy(address.sun_path, sizeof address.sun_path - 1);
    const base::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    BOOST_REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    BOOST_REQUIRE(::listen(listener.get(), 1) == 0);
    ClientRequest request;
    request.target = "/";
    for (const char* answer :
         {"", "H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "bad"}) {
        std::thread server([&] {
            const base::UniqueFd peer(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
            std::array<char, 1000> asked; // whole: a close with unread data is a reset
            if (::read(peer.get(), asked.data(), asked.size()) > 0)
                base::write_all(peer.get(), answer, "socket");
        });
        BOOST_CHECK_THROW(LocalClient("unix:" + (directory / "socket")).send(request), base::Error);
        server.join();
    }
}

BOOST_AUTO_TEST_CASE(queries_are_decoded) {
    const Rig rig;
    BOOST_TEST(rig.client().get("/query?a=x%20y&b=%7B%22c%22%3A1%7D").body == "x y|{\"c\":1}");
    BOOST_TEST(rig.client().get("/query?a=%zz").status == 400);
    BOOST_TEST(rig.client().get("/query?a=%00").status == 400);
}

BOOST_AUTO_TEST_CASE(errors_are_json) {
    const Rig rig;
    const auto missing = rig.client().get("/nothing");
    BOOST_TEST(missing.status == 404);
    BOOST_TEST(missing.body == R"({"message":"no such thing: /nothing"})");
    BOOST_TEST(rig.client().get("/crash").status == 500);
}

BOOST_AUTO_TEST_CASE(streams_and_broken_streams) {
    const Rig rig;
    BOOST_TEST(rig.client().get("/stream").body == "012");
    BOOST_CHECK_THROW(rig.client().get("/broken"), base::Error); // never a whole answer
}

BOOST_AUTO_TEST_CASE(connections_are_kept) {
    const Rig rig;
    const std::string twice = "POST /ignore-body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345"
                              "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n";
    const std::string answer = rig.raw(twice);
    BOOST_TEST(answer.find("fine") != std::string::npos);
    BOOST_TEST(answer.ends_with("1\r\n2\r\n0\r\n\r\n"));
    BOOST_TEST(answer.find("Api-Version: 1\r\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(hijacked_stream_gets_what_was_read_ahead) {
    const Rig rig;
    const std::string answer =
        rig.raw("POST /hijack HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\nhello");
    BOOST_TEST(answer.starts_with("HTTP/1.1 101"));
    BOOST_TEST(answer.ends_with("\r\n\r\nhello"));
}

BOOST_AUTO_TEST_CASE(head_has_no_body_and_http_1_0_no_chunks) {
    const Rig rig;
    BOOST_TEST(rig.raw("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("\r\n\r\n"));
    const std::string old = rig.raw("GET /stream HTTP/1.0\r\n\r\n");
    BOOST_TEST(old.ends_with("\r\n\r\n012"));
}

BOOST_AUTO_TEST_CASE(rubbish_is_refused) {
    const Rig rig;
    BOOST_TEST(rig.raw("rubbish\r\n\r\n").starts_with("HTTP/1.1 400"));
    BOOST_TEST(rig.raw("GET / HTTP/1.1\r\nA: " + std::string(20'000, 'x') + "\r\n\r\n").starts_with("HTTP/1.1 431"));
    BOOST_TEST(rig.raw("POST /echo HTTP/1.1\r\nContent-Length: 10\r\n\r\n123").starts_with("HTTP/1.1 400"));
    BOOST_TEST(rig.raw("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").starts_with("HTTP/1.1 400"));
    BOOST_TEST(rig.raw("POST /ignore-body HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\n\r\n").find("fine") !=
               std::string::npos); // answered before the broken body was looked at
    BOOST_TEST(rig.raw("") == "");
    BOOST_TEST(rig.client().get("/stream").ok()); // still there
}

BOOST_AUTO_TEST_CASE(chunked_request_bodies) {
    const Rig rig;
    const std::string answer = rig.raw("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                                       "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    BOOST_TEST(answer.ends_with("\r\n\r\nabcde"));
}

BOOST_AUTO_TEST_CASE(expect_continue_is_answered) {
    const Rig rig;
    const std::string answer =
        rig.raw("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi");
    BOOST_TEST(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"));
    BOOST_TEST(answer.ends_with("hi"));
}

BOOST_AUTO_TEST_CASE(stop_ends_open_connections) {
    auto rig = std::make_unique<Rig>();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, rig->path.c_str(), rig->path.size());
    const base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    BOOST_REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    base::write_all(fd.get(), "GET /stream HTTP/1.1\r\n", "socket"); // unfinished
    rig->server.stop();                                              // returns: nothing waits for the rest
    char byte = 0;
    BOOST_TEST(::recv(fd.get(), &byte, 1, 0) <= 0); // ended or reset, as the kernel likes
}

BOOST_AUTO_TEST_SUITE_END()
