#include "fleetd/unit_spec.hpp"

#include "base/sha256.hpp"
#include "model/records.hpp"

namespace fleet {

bool ports_conflict(const PublishedPort& a, const PublishedPort& b) noexcept {
    const auto any = [](const std::string& address) {
        return address.empty() || address == "0.0.0.0" || address == "::";
    };
    return a.host_port != 0 && a.host_port == b.host_port && a.protocol == b.protocol &&
           (any(a.address) || any(b.address) || a.address == b.address);
}

std::string to_string(const PublishedPort& port) {
    std::string text;
    if (port.address.find(':') != std::string::npos)
        text = "[" + port.address + "]:";
    else if (!port.address.empty())
        text = port.address + ":";
    if (port.host_port != 0)
        text += fmt::format("{}:", port.host_port);
    return text + fmt::format("{}/{}", port.container_port, port.protocol);
}

const char* to_string(Restart restart) noexcept {
    switch (restart) {
    case Restart::no:
        return "no";
    case Restart::on_failure:
        return "on-failure";
    case Restart::always:
        break;
    }
    return "always";
}

std::optional<Restart> parse_restart(std::string_view text) noexcept {
    for (const Restart restart : {Restart::no, Restart::on_failure, Restart::always}) {
        if (text == to_string(restart))
            return restart;
    }
    return std::nullopt;
}

std::string unit_hash(const UnitSpec& spec) {
    UnitSpec hashed = spec;
    hashed.name.clear();
    hashed.replicas = 1;
    return base::sha256_hex(serialize_spec(hashed));
}

} // namespace fleet
