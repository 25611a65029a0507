#include "daemon/host_identity.hpp"

#include <sys/random.h>
#include <unistd.h>

#include "base/cli.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/sha256.hpp"

namespace fleet {
namespace {

std::string new_id() {
    std::array<std::uint8_t, 16> bytes{};
    base::check(getrandom(bytes.data(), bytes.size(), 0), "getrandom");
    return base::to_hex(bytes);
}

bool valid_id(const std::string& id) {
    return id.size() == 32 && id.find_first_not_of("0123456789abcdef") == std::string::npos;
}

} // namespace

Host load_host_identity(const std::string& directory) {
    const std::string path = directory + "/host-id";
    Host host;
    host.version = base::version();
    std::array<char, 256> name{};
    base::check(gethostname(name.data(), name.size() - 1), "gethostname");
    host.name = name.data();
    if (const auto text = base::read_file_if_exists(path, 4096)) {
        host.id = text->substr(0, text->find('\n'));
        if (!valid_id(host.id))
            throw base::Error(fmt::format("{}: expected 32 hexadecimal digits", path));
        return host;
    }
    host.id = new_id();
    base::write_durable(path, host.id + "\n");
    return host;
}

} // namespace fleet
