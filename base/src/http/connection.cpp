#include "connection.hpp"

#include <poll.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "base/json.hpp"
#include "base/log.hpp"

namespace base::http {
namespace {

namespace beast = boost::beast::http;

constexpr std::uint32_t header_limit = 16 * 1024;
constexpr std::chrono::milliseconds idle_timeout{120'000};
constexpr std::chrono::milliseconds header_timeout{30'000};
constexpr std::chrono::milliseconds body_timeout{120'000};
/// What of an unread request body is thrown away to keep the connection; more closes it.
constexpr std::size_t drain_limit = 256 * 1024;

int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    throw HttpError(400, "bad percent-encoding in the request target");
}

std::string url_decode(std::string_view text, bool form) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            if (i + 2 >= text.size())
                throw HttpError(400, "bad percent-encoding in the request target");
            c = static_cast<char>(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
            i += 2;
        } else if (c == '+' && form) {
            c = ' ';
        }
        if (c == '\0')
            throw HttpError(400, "zero byte in the request target");
        decoded += c;
    }
    return decoded;
}

/// What was read ahead, then the connection itself.
class ReadAheadStream final : public Stream {
public:
    explicit ReadAheadStream(Stream& stream) : stream_(stream) {}
    std::size_t read(char* buffer, std::size_t size) override {
        if (ahead_.empty()) {
            stream_.set_read_timeout(read_timeout_);
            return stream_.read(buffer, size);
        }
        const std::size_t count = std::min(size, ahead_.size());
        std::memcpy(buffer, ahead_.data(), count);
        ahead_.erase(0, count);
        return count;
    }
    void write(std::string_view data) override { stream_.write(data); }
    void shutdown_write() noexcept override { stream_.shutdown_write(); }
    void abort() noexcept override { stream_.abort(); }
    int fd() const noexcept override { return stream_.fd(); }

    /// Reads more behind what is there already; false at the end.
    bool fill() {
        std::array<char, 16384> buffer;
        stream_.set_read_timeout(read_timeout_);
        const std::size_t count = stream_.read(buffer.data(), buffer.size());
        ahead_.append(buffer.data(), count);
        return count > 0;
    }
    const std::string& ahead() const noexcept { return ahead_; }
    void consume(std::size_t count) { ahead_.erase(0, count); }

private:
    Stream& stream_;
    std::string ahead_;
};

class ConnectionRequest final : public Request {
public:
    explicit ConnectionRequest(ReadAheadStream& stream) : stream_(stream) {
        parser_.header_limit(header_limit);
        parser_.body_limit(boost::none); // the handler's limit counts
        parser_.eager(false);
    }

    /// Reads the header; false when the peer closed instead of sending a request.
    bool read_header() {
        stream_.set_read_timeout(idle_timeout);
        while (!parser_.is_header_done()) {
            if (stream_.ahead().empty() && !stream_.fill()) {
                if (parser_.got_some())
                    throw HttpError(400, "connection closed within a header");
                return false;
            }
            stream_.set_read_timeout(header_timeout);
            if (!feed() && !stream_.fill()) // an incomplete line stays until more of it comes
                return false;
            if (stream_.ahead().size() > header_limit && !parser_.is_header_done())
                throw HttpError(431, "header larger than 16 KiB");
        }
        method = std::string(parser_.get().method_string());
        split_target(std::string(parser_.get().target()));
        return true;
    }

    std::string header(std::string_view name) const override {
        const auto value = parser_.get()[boost::beast::string_view(name.data(), name.size())];
        return {value.data(), value.size()};
    }

    std::size_t read_body(char* buffer, std::size_t size) override {
        if (broken_)
            throw HttpError(400, "bad HTTP in the request body");
        continue_if_expected();
        stream_.set_read_timeout(body_timeout);
        auto& body = parser_.get().body();
        body.data = buffer;
        body.size = size;
        while (!parser_.is_done() && body.size == size) {
            if (!stream_.ahead().empty() && feed())
                continue;
            if (!parser_.is_done() && body.size == size && !stream_.fill()) {
                broken_ = true;
                throw HttpError(400, "request body broken off");
            }
        }
        const std::size_t count = size - body.size;
        body.data = nullptr;
        body.size = 0;
        return count;
    }

    bool keep_alive() const { return parser_.get().keep_alive(); }
    bool http_1_0() const { return parser_.get().version() < 11; }
    bool is_head() const { return parser_.get().method() == beast::verb::head; }

    /// Throws away the rest of a small body. False: there is too much, or it is broken.
    bool drain() {
        if (broken_)
            return false;
        if (expects_continue_)
            return parser_.is_done(); // the client never sent it
        std::array<char, 16384> buffer;
        std::size_t total = 0;
        while (!parser_.is_done()) {
            total += read_body(buffer.data(), buffer.size());
            if (total > drain_limit)
                return false;
        }
        return true;
    }

    /// To be called once the header is there.
    void note_expectation() {
        const std::string expect = header("Expect");
        expects_continue_ = expect.size() == 12 && boost::beast::iequals(expect, "100-continue");
    }

private:
    /// Gives what is read ahead to the parser; false when it needs more to go on.
    bool feed() {
        if (stream_.ahead().size() < wanted_)
            return false;
        boost::beast::error_code error;
        const std::size_t used =
            parser_.put(boost::asio::buffer(stream_.ahead().data(), stream_.ahead().size()), error);
        stream_.consume(used);
        // Beast 1.81 asserts that a last chunk it has begun comes back with five bytes, "0\r\n\r\n": wait for them.
        wanted_ =
            error == beast::error::need_more && used == 0 ? std::max<std::size_t>(5, stream_.ahead().size() + 1) : 0;
        if (error == beast::error::need_more)
            return used > 0;
        if (error == beast::error::need_buffer)
            return true;
        broken_ = error.failed(); // Beast's parser may not be used after an error
        if (error == beast::error::header_limit)
            throw HttpError(431, "header larger than 16 KiB");
        if (error)
            throw HttpError(400, "bad HTTP: " + error.message());
        return used > 0 || parser_.is_done();
    }

    void continue_if_expected() {
        if (std::exchange(expects_continue_, false))
            stream_.write("HTTP/1.1 100 Continue\r\n\r\n");
    }

    void split_target(const std::string& target) {
        const auto question = target.find('?');
        path = url_decode(std::string_view(target).substr(0, question), false);
        if (question == std::string::npos)
            return;
        std::string_view rest = std::string_view(target).substr(question + 1);
        while (!rest.empty()) {
            const auto end = rest.find('&');
            const std::string_view pair = rest.substr(0, end);
            rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
            const auto equals = pair.find('=');
            const std::string key = url_decode(pair.substr(0, equals), true);
            const std::string value =
                equals == std::string_view::npos ? std::string() : url_decode(pair.substr(equals + 1), true);
            query[key] = value;
            query_all.emplace(key, value);
        }
    }

    ReadAheadStream& stream_;
    beast::request_parser<beast::buffer_body> parser_;
    bool expects_continue_ = false;
    bool broken_ = false;
    std::size_t wanted_ = 0; ///< bytes that must be there before the parser is asked again
};

const char* reason_phrase(unsigned status) {
    const auto phrase = beast::obsolete_reason(static_cast<beast::status>(status));
    return phrase.data(); // string literals
}

bool has_line_break(std::string_view text) {
    return text.find_first_of("\r\n") != std::string_view::npos || text.find('\0') != std::string_view::npos;
}

class ConnectionResponse final : public Response {
public:
    ConnectionResponse(ReadAheadStream& stream, const ConnectionRequest& request)
        : stream_(stream), request_(request), keep_alive_(request.keep_alive()) {}

    void send(unsigned status, std::string_view body, std::string_view content_type, const Headers& headers) override {
        const bool no_body = status == 204 || status == 304;
        std::string text = head(status, no_body ? "" : content_type, headers);
        if (!no_body)
            text += fmt::format("Content-Length: {}\r\n", body.size());
        text += "\r\n";
        if (!no_body && !request_.is_head())
            text += body;
        state_ = State::ended;
        stream_.write(text);
    }

    void begin(unsigned status, std::string_view content_type, const Headers& headers) override {
        chunked_ = !request_.http_1_0();
        keep_alive_ = keep_alive_ && chunked_; // without chunks the end of the connection is the end of the body
        std::string text = head(status, content_type, headers);
        if (chunked_)
            text += "Transfer-Encoding: chunked\r\n";
        text += "\r\n";
        state_ = State::streaming;
        stream_.write(text);
    }

    void write(std::string_view data) override {
        if (data.empty() || request_.is_head()) // an empty chunk would end the body
            return;
        stream_.write(chunked_ ? fmt::format("{:x}\r\n{}\r\n", data.size(), data) : std::string(data));
    }

    void end() override {
        if (state_ != State::streaming)
            return;
        state_ = State::ended;
        if (chunked_ && !request_.is_head())
            stream_.write("0\r\n\r\n");
    }

    Stream& hijack(std::string_view text) override {
        state_ = State::hijacked;
        stream_.set_read_timeout(std::nullopt);
        stream_.write(text);
        return stream_;
    }

    bool started() const noexcept override { return state_ != State::waiting; }
    bool hijacked() const noexcept { return state_ == State::hijacked; }
    bool keep_alive() const noexcept { return keep_alive_; }
    void close_after() noexcept { keep_alive_ = false; }

    bool client_gone() const noexcept override {
        pollfd entry{stream_.fd(), POLLRDHUP, 0};
        return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    }
    int fd() const noexcept override { return stream_.fd(); }

private:
    enum class State { waiting, streaming, ended, hijacked };

    std::string head(unsigned status, std::string_view content_type, const Headers& headers) const {
        std::string text = fmt::format("HTTP/1.1 {} {}\r\n", status, reason_phrase(status));
        const auto add = [&](std::string_view name, std::string_view value) {
            if (has_line_break(name) || has_line_break(value))
                throw Error("line break in a response header"); // response splitting
            fmt::format_to(std::back_inserter(text), "{}: {}\r\n", name, value);
        };
        for (const auto& [name, value] : common_headers)
            add(name, value);
        for (const auto& [name, value] : headers)
            add(name, value);
        if (!content_type.empty())
            add("Content-Type", content_type);
        if (!keep_alive_)
            text += "Connection: close\r\n";
        return text;
    }

    ReadAheadStream& stream_;
    const ConnectionRequest& request_;
    State state_ = State::waiting;
    bool chunked_ = false;
    bool keep_alive_;
};

std::string error_body(const std::exception& error) {
    return json::serialize(json::object{{"message", error_chain(error)}});
}

/// Runs the handler; its exception becomes the response, when none was begun.
void answer(const Handler& handler, ConnectionRequest& request, ConnectionResponse& response) {
    try {
        handler(request, response);
        response.end();
        if (!response.started())
            throw Error("no response was made");
    } catch (const std::exception& error) {
        if (response.started()) {
            // Too late for a status: the missing last chunk tells the client that something is wrong.
            log_debug("response broken off: method={} path={} error={}", request.method, request.path,
                      error_chain(error));
            response.close_after();
            return;
        }
        const auto* refused = dynamic_cast<const HttpError*>(&error);
        const unsigned status = refused != nullptr ? refused->status() : 500;
        if (status >= 500)
            log_warning("request failed: method={} path={} error={}", request.method, request.path, error_chain(error));
        response.send(status, error_body(error), "application/json", {});
    }
}

/// Serves one request; false when the connection is done.
bool serve_request(ReadAheadStream& stream, const Peer& peer, const Handler& handler) {
    ConnectionRequest request(stream);
    request.peer = peer;
    try {
        if (!request.read_header())
            return false;
        request.note_expectation();
    } catch (const HttpError& error) {
        const std::string body = error_body(error);
        stream.write(fmt::format("HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n"
                                 "Connection: close\r\n\r\n{}",
                                 error.status(), reason_phrase(error.status()), body.size(), body));
        return false;
    }
    ConnectionResponse response(stream, request);
    answer(handler, request, response);
    return !response.hijacked() && response.keep_alive() && request.drain();
}

} // namespace

void serve_connection(Stream& connection, const Peer& peer, const Handler& handler) {
    ReadAheadStream stream(connection);
    try {
        while (serve_request(stream, peer, handler)) {
        }
    } catch (const std::exception& error) { // the peer went away or was too slow: there is nobody to tell
        log_debug("connection ended: peer={} error={}", peer.describe(), error_chain(error));
    }
}

std::string Request::body(std::size_t limit) {
    std::string text;
    std::array<char, 16384> buffer;
    while (const std::size_t count = read_body(buffer.data(), buffer.size())) {
        if (text.size() + count > limit)
            throw HttpError(413, fmt::format("request body larger than {} bytes", limit));
        text.append(buffer.data(), count);
    }
    return text;
}

std::string Request::query_value(const std::string& key, std::string fallback) const {
    const auto found = query.find(key);
    return found == query.end() ? std::move(fallback) : found->second;
}

bool Request::query_flag(const std::string& key) const {
    const std::string value = query_value(key);
    return value == "1" || value == "true" || value == "True";
}

} // namespace base::http
