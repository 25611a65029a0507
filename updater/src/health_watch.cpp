#include "updater/health_watch.hpp"

#include "base/error.hpp"
#include "base/http/client.hpp"
#include "base/json.hpp"
#include "updater/boot_text.hpp"
#include "updater/record.hpp"

namespace updater {

namespace {

constexpr std::size_t max_health = 1024 * 1024;
constexpr std::chrono::milliseconds answer_timeout{5'000};

base::http::ClientResponse get(const std::string& socket, const std::string& target, std::size_t limit) {
    base::http::Client client("unix:" + socket);
    base::http::ClientRequest request;
    request.target = target;
    request.timeout = answer_timeout;
    request.limit = limit;
    base::http::ClientResponse response = client.send(request);
    if (!response.ok())
        throw base::Error(fmt::format("{}{}: engined answered {}", socket, target, response.status));
    return response;
}

} // namespace

HealthReport ask_health(const std::string& socket, std::string* raw) noexcept {
    try {
        const base::http::ClientResponse response = get(socket, "/atoll/v1/health", max_health);
        HealthReport report = HealthReport::parse(response.body, "engined's health");
        if (raw != nullptr)
            *raw = response.body;
        return report;
    } catch (const std::exception& error) {
        return HealthReport::unreachable(plain_text(base::error_chain(error), Receipt::max_line_bytes));
    }
}

std::vector<std::string> service_log(const std::string& socket, const std::string& service, unsigned lines) {
    const std::string filter = base::json::serialize(
        base::json::object{{"label", base::json::array{base::json::string("atoll.system=" + service)}}});
    const std::string list =
        get(socket, "/containers/json?all=1&filters=" + base::http::url_encode(filter), max_health).body;
    const base::json::value document = base::parse_json(list, "list of containers");
    if (!document.is_array() || document.get_array().empty())
        throw base::Error("service " + service + " has no container");
    const base::JsonObject container(document.get_array().front(), "list of containers");
    return container_log(socket, container.required_string("Id"), lines);
}

std::vector<std::string> container_log(const std::string& socket, const std::string& container, unsigned lines) {
    std::vector<std::string> log = split_log_stream(
        get(socket,
            fmt::format("/containers/{}/logs?stdout=1&stderr=1&tail={}", base::http::url_encode(container), lines),
            max_health)
            .body);
    if (log.size() > lines)
        log.erase(log.begin(), log.end() - static_cast<std::ptrdiff_t>(lines));
    return log;
}

std::vector<std::string> split_log_stream(std::string_view stream) {
    constexpr std::size_t header = 8; // stream number, three zeros, length (big endian)
    std::string text;
    while (!stream.empty()) {
        const bool framed = stream.size() >= header && static_cast<unsigned char>(stream[0]) <= 2 && stream[1] == 0 &&
                            stream[2] == 0 && stream[3] == 0;
        if (!framed) {
            text += stream;
            break;
        }
        std::size_t length = 0;
        for (std::size_t index = 4; index < header; ++index)
            length = length << 8 | static_cast<unsigned char>(stream[index]);
        stream.remove_prefix(header);
        text += stream.substr(0, length);
        stream.remove_prefix(std::min(length, stream.size()));
    }
    std::vector<std::string> lines;
    for (std::string_view rest = text; !rest.empty();) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        lines.push_back(plain_text(rest.substr(0, end), Receipt::max_line_bytes));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return lines;
}

} // namespace updater
