#include "api/raw_stream.hpp"

#include <poll.h>

#include <atomic>
#include <thread>

#include "base/log.hpp"

namespace engine::api {
namespace {

constexpr std::chrono::milliseconds look_interval{500};
constexpr std::chrono::milliseconds farewell{2000};

std::string upgrade_head(const Call& call, bool tty) {
    const bool upgrade = !call.request.header("Upgrade").empty();
    std::string head = upgrade ? "HTTP/1.1 101 UPGRADED\r\n" : "HTTP/1.1 200 OK\r\n";
    for (const auto& [name, value] : call.response.common_headers)
        head += fmt::format("{}: {}\r\n", name, value);
    head += fmt::format("Content-Type: {}\r\n", stream_type(call, tty));
    head += upgrade ? "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n" : "\r\n";
    return head;
}

/// True when the peer closed both directions. A half close is not enough: clients send one when they have no input.
bool hung_up(int fd, std::chrono::milliseconds wait) {
    pollfd entry{fd, 0, 0};
    return ::poll(&entry, 1, static_cast<int>(wait.count())) > 0 && (entry.revents & (POLLHUP | POLLERR)) != 0;
}

/// Client to container, in a thread of its own; then watches for the client's end.
void carry_input(base::http::Stream& stream, Attachment& attachment, DetachFilter filter, bool with_stdin,
                 const std::atomic<bool>& done) {
    try {
        std::array<char, 16 * 1024> buffer;
        while (const std::size_t count = stream.read(buffer.data(), buffer.size())) {
            if (!with_stdin)
                continue;
            const std::string data = filter.pass({buffer.data(), count});
            if (!data.empty())
                attachment.write_stdin(data);
            if (filter.detached()) {
                attachment.close();
                return;
            }
        }
        if (with_stdin)
            attachment.close_stdin();
    } catch (const std::exception& error) {
        // The process is gone, or closed its input; its last output may still be on the way.
        base::log_debug("attach: input ended: {}", base::error_chain(error));
    }
    while (!done && !hung_up(stream.fd(), look_interval)) {
    }
    if (!done)
        attachment.close();
}

} // namespace

std::string stream_frame(StdStream stream, std::string_view data, bool tty) {
    if (tty)
        return std::string(data);
    const auto size = static_cast<std::uint32_t>(data.size());
    std::string frame(8, '\0');
    frame[0] = static_cast<char>(stream);
    for (unsigned i = 0; i < 4; ++i)
        frame[4 + i] = static_cast<char>(size >> (24 - 8 * i) & 0xff);
    return frame.append(data);
}

std::string_view stream_type(const Call& call, bool tty) {
    // The second name exists since 1.42; before, both kinds were called raw.
    return tty || call.minor_version < 42 ? "application/vnd.docker.raw-stream"
                                          : "application/vnd.docker.multiplexed-stream";
}

Detach parse_detach_keys(const std::string& text) {
    if (text.empty())
        return {std::string("\x10\x11")}; // ctrl-p, ctrl-q
    Detach detach;
    std::string_view rest = text;
    while (true) {
        const std::size_t comma = rest.find(',');
        const std::string_view key = rest.substr(0, comma);
        if (key.size() == 1) {
            detach.keys += key;
        } else if (key.size() == 6 && key.starts_with("ctrl-")) {
            const char c = key[5];
            if (c >= 'a' && c <= 'z')
                detach.keys += static_cast<char>(c - 'a' + 1);
            else if (c == '@' || (c >= '[' && c <= '_'))
                detach.keys += static_cast<char>(c == '@' ? 0 : c - '[' + 27);
            else
                throw HttpError(400, fmt::format("Unknown character: '{}'", key));
        } else {
            throw HttpError(400, fmt::format("Unknown character: '{}'", key));
        }
        if (comma == std::string_view::npos)
            return detach;
        rest.remove_prefix(comma + 1);
    }
}

std::string DetachFilter::pass(std::string_view data) {
    std::string passed;
    for (const char c : data) {
        if (detached_)
            break;
        if (keys_.empty()) {
            passed += c;
        } else if (c == keys_[matched_]) {
            detached_ = ++matched_ == keys_.size();
        } else {
            // What was held back was typed in earnest.
            passed += keys_.substr(0, matched_);
            matched_ = c == keys_[0] ? 1 : 0;
            if (matched_ == 0)
                passed += c;
            detached_ = matched_ == keys_.size();
        }
    }
    return passed;
}

void carry_streams(Call& call, std::shared_ptr<Attachment> attachment, bool tty, bool with_stdin) {
    const bool may_detach = tty && with_stdin;
    DetachFilter filter(may_detach ? parse_detach_keys(call.request.query_value("detachKeys")) : Detach{});
    base::http::Stream& stream = call.response.hijack(upgrade_head(call, tty));
    std::atomic<bool> done = false;
    std::thread input([&] { carry_input(stream, *attachment, std::move(filter), with_stdin, done); });
    try {
        while (const auto output = attachment->read())
            stream.write(stream_frame(output->stream, output->data, tty));
    } catch (const std::exception& error) {
        base::log_debug("attach: output ended: {}", base::error_chain(error));
        attachment->close();
    }
    done = true;
    // The client reads to the end and closes; one that does not is not waited for.
    stream.shutdown_write();
    const auto deadline = std::chrono::steady_clock::now() + farewell;
    while (!hung_up(stream.fd(), std::chrono::milliseconds(20)) && std::chrono::steady_clock::now() < deadline &&
           !call.context.stopping) {
    }
    stream.abort();
    input.join();
}

} // namespace engine::api
