#include "base/http/local_client.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "answer.hpp"
#include "base/error.hpp"

namespace base::http {
namespace {

namespace beast = boost::beast::http;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t header_limit = 16 * 1024;
constexpr timeval connect_timeout{10, 0};

UniqueFd connect_to(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        throw Error(ENAMETOOLONG, "connect");
    path.copy(address.sun_path, path.size());
    UniqueFd fd(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    // Connecting waits while the server's queue is full.
    check(::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &connect_timeout, sizeof connect_timeout), "setsockopt");
    check(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "connect");
    return fd;
}

std::string request_text(const ClientRequest& request) {
    if (request.target.empty() || request.target.find_first_of(" \r\n") != std::string::npos)
        throw Error("the target of the request is not encoded");
    std::string text =
        fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", request.method, request.target);
    for (const std::string& header : request.headers)
        text += header + "\r\n";
    if (request.method != "GET" && request.method != "HEAD")
        text += fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n", request.content_type, request.body.size());
    return text + "\r\n" + request.body;
}

class Answer {
public:
    explicit Answer(const ClientRequest& request) : limit_(request.limit) {
        parser_.header_limit(header_limit);
        parser_.body_limit(limit_);
        parser_.eager(true);
        parser_.skip(request.method == "HEAD");
        if (request.timeout.count() > 0)
            deadline_ = Clock::now() + request.timeout;
    }

    ClientResponse receive(Stream& stream) {
        std::array<char, 16 * 1024> buffer{};
        std::string text; // what the parser has not taken yet
        while (!parser_.is_done()) {
            if (deadline_)
                stream.set_read_timeout(
                    std::max(std::chrono::milliseconds(0),
                             std::chrono::duration_cast<std::chrono::milliseconds>(*deadline_ - Clock::now())));
            const std::size_t size = stream.read(buffer.data(), buffer.size());
            boost::system::error_code error;
            if (size == 0) {
                if (!parser_.got_some()) // Beast takes an end before the first byte for a bug of ours
                    throw Error("the connection ended without an answer");
                parser_.put_eof(error);
                check_answer(error);
                break;
            }
            text.append(buffer.data(), size);
            while (!text.empty() && !parser_.is_done()) {
                const std::size_t used = parser_.put(boost::asio::buffer(text), error);
                text.erase(0, used);
                if (error == beast::error::need_more)
                    break;
                check_answer(error);
            }
        }
        if (!parser_.is_done())
            throw Error("the answer is cut off");
        return {static_cast<long>(parser_.get().result_int()), std::move(parser_.get().body())};
    }

private:
    void check_answer(const boost::system::error_code& error) const {
        if (error == beast::error::body_limit)
            throw Error(fmt::format("answer larger than {} bytes", limit_));
        if (error == beast::error::end_of_stream || error == beast::error::partial_message)
            throw Error("the answer is cut off");
        if (error)
            throw Error("no HTTP answer: " + error.message());
    }

    std::size_t limit_;
    std::optional<Clock::time_point> deadline_;
    beast::response_parser<beast::string_body> parser_;
};

} // namespace

ClientResponse read_answer(Stream& stream, const ClientRequest& request) {
    return Answer(request).receive(stream);
}

LocalClient::LocalClient(std::string address) : address_(std::move(address)) {
    if (!address_.starts_with("unix:"))
        throw Error(fmt::format("bad address {}: expected unix:PATH", address_));
    path_ = address_.substr(5);
}

ClientResponse LocalClient::send(const ClientRequest& request) const {
    return with_context(address_, [&] {
        if (request.on_data || request.stall.count() > 0)
            throw Error("a stream is asked for");
        const std::string text = request_text(request);
        const std::unique_ptr<Stream> stream = socket_stream(connect_to(path_));
        stream->write(text);
        return read_answer(*stream, request);
    });
}

} // namespace base::http
