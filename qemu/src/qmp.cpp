#include "qemu/qmp.hpp"

#include <poll.h>
#include <sys/socket.h>

#include "base/error.hpp"
#include "base/json.hpp"

namespace qemu {
namespace {

constexpr Seconds answer_time{60}; ///< QEMU answers in milliseconds, but may wait for its main loop on a busy machine
constexpr std::size_t line_limit = 4UL * 1024 * 1024;

} // namespace

Qmp::Qmp(base::UniqueFd socket) : socket_(std::move(socket)) {
    const auto greeting = read_line(Deadline(answer_time));
    if (!greeting || greeting->find("\"QMP\"") == std::string::npos)
        throw base::Error("QMP: no greeting from QEMU");
    execute("qmp_capabilities");
}

std::optional<std::string> Qmp::read_line(const Deadline& deadline) {
    while (true) {
        if (const std::size_t end = buffer_.find('\n'); end != std::string::npos) {
            std::string line = buffer_.substr(0, end);
            buffer_.erase(0, end + 1);
            return line;
        }
        if (buffer_.size() > line_limit)
            throw base::Error("QMP: line too long");
        pollfd fd{socket_.get(), POLLIN, 0};
        const int ready = ::poll(&fd, 1, deadline.poll_milliseconds());
        if (ready < 0 && errno != EINTR)
            base::throw_errno("poll");
        if (ready == 0 && deadline.passed())
            return std::nullopt;
        if (ready <= 0)
            continue;
        std::array<char, 16384> chunk; // NOLINT(cppcoreguidelines-pro-type-member-init): filled by recv
        const ssize_t count = base::check(::recv(socket_.get(), chunk.data(), chunk.size(), 0), "read from QMP");
        if (count == 0)
            throw base::Error("QMP: QEMU has ended");
        buffer_.append(chunk.data(), static_cast<std::size_t>(count));
    }
}

std::string Qmp::execute(const std::string& command, const std::string& arguments) {
    std::string request = R"({"execute": ")" + command + '"';
    if (!arguments.empty())
        request += R"(, "arguments": )" + arguments;
    request += "}\n";
    for (std::string_view rest = request; !rest.empty();) {
        const ssize_t count = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR)
            continue;
        base::check(count, "write to QMP");
        rest.remove_prefix(static_cast<std::size_t>(count));
    }
    const Deadline deadline(answer_time);
    while (const auto line = read_line(deadline)) {
        const base::json::value message = base::parse_json(*line, "QMP");
        const base::JsonObject object(message, "QMP");
        if (object.has("event"))
            events_.push_back(
                {object.string("event"), object.has("data") ? base::json::serialize(object.raw().at("data")) : "{}"});
        else if (const auto error = object.object("error"))
            throw base::Error("QMP " + command + ": " + error->string("desc"));
        else if (object.has("return"))
            return base::json::serialize(object.raw().at("return"));
    }
    throw base::Error("QMP " + command + ": no answer");
}

std::optional<std::string> Qmp::wait_event(const std::string& name, const Deadline& deadline) {
    while (true) {
        for (auto event = events_.begin(); event != events_.end(); ++event) {
            if (event->name != name)
                continue;
            std::string data = std::move(event->data);
            events_.erase(events_.begin(), event + 1);
            return data;
        }
        events_.clear();
        const auto line = read_line(deadline);
        if (!line)
            return std::nullopt;
        const base::json::value message = base::parse_json(*line, "QMP");
        const base::JsonObject object(message, "QMP");
        if (object.has("event"))
            events_.push_back(
                {object.string("event"), object.has("data") ? base::json::serialize(object.raw().at("data")) : "{}"});
    }
}

void Qmp::forget_events() {
    execute("query-status"); // its answer comes after every event before it
    events_.clear();
}

} // namespace qemu
