#include "engined/host_setup.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "base/process.hpp"

namespace engine {

namespace {

namespace fs = std::filesystem;
constexpr std::size_t largest_file = 1024 * 1024;
constexpr std::size_t most_files = 100;

/// A sysctl's path: dots separate, as in sysctl(8). Throws for a name that would lead out of /proc/sys.
std::string sysctl_path(const std::string& name) {
    std::string path = name;
    const std::size_t first = path.find_first_of("./");
    if (first != std::string::npos && path[first] == '.')
        for (char& c : path)
            c = c == '.' ? '/' : c == '/' ? '.' : c;
    if (path.empty() || ("/" + path + "/").find("/../") != std::string::npos)
        throw base::Error("sysctl " + name + ": is no sysctl's name");
    return "/proc/sys/" + path;
}

/// Nothing is loaded on demand (init clears kernel.modprobe): what host.yaml names is loaded before any service starts.
void load_module(const std::string& name) {
    if (name.empty() || name.front() == '-' || name.find('/') != std::string::npos)
        throw base::Error("module " + name + ": is no module's name");
    base::RunOptions options;
    options.timeout = std::chrono::seconds(30);
    base::run_checked({"/usr/sbin/modprobe", name}, options);
}

} // namespace

bool copy_config_drive(const std::string& drive, const std::string& target) {
    if (fs::exists(target + "/host.yaml") || !fs::exists(drive + "/host.yaml"))
        return false;
    const std::string text = base::read_file(drive + "/host.yaml", largest_file);
    (void)base::HostConfig::parse(text, drive + "/host.yaml");
    base::make_directories(target, 0755);
    std::size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(drive)) {
        const std::string name = fs::relative(entry.path(), drive);
        if (entry.is_symlink() || name == "host.yaml" || name == "lost+found")
            continue;
        if (++count > most_files)
            throw base::Error(drive + ": more than " + std::to_string(most_files) + " files");
        if (entry.is_directory())
            base::make_directories(target + "/" + name, 0755);
        else if (entry.is_regular_file())
            // There are keys among them.
            base::write_durable(target + "/" + name, base::read_file(entry.path(), largest_file), 0600);
    }
    base::write_durable(target + "/host.yaml", text, 0644);
    return true;
}

void apply_host_config(const base::HostConfig& config) {
    if (::sethostname(config.hostname.data(), config.hostname.size()) < 0)
        base::log_error("set the host's name to {}: {}", config.hostname, std::strerror(errno));
    for (const auto& [name, value] : config.sysctl) {
        try {
            const std::string path = sysctl_path(name);
            const base::UniqueFd fd = base::open_file(path, O_WRONLY);
            base::write_all(fd.get(), value, path);
        } catch (const std::exception& error) {
            base::log_error("sysctl {}={}: {}", name, value, base::error_chain(error));
        }
    }
    for (const std::string& name : config.modules) {
        try {
            load_module(name);
        } catch (const std::exception& error) {
            base::log_error("module {}: {}", name, base::error_chain(error));
        }
    }
}

std::map<std::string, std::map<std::string, std::string>> service_environment(const base::HostConfig& config) {
    std::map<std::string, std::string> network;
    if (!config.network.interface.empty())
        network["ATOLL_NETWORK_INTERFACE"] = config.network.interface;
    if (!config.network.dhcp) {
        network["ATOLL_NETWORK_ADDRESS"] = config.network.address;
        network["ATOLL_NETWORK_GATEWAY"] = config.network.gateway;
        std::string servers;
        for (const std::string& server : config.network.dns)
            servers += (servers.empty() ? "" : " ") + server;
        network["ATOLL_NETWORK_DNS"] = servers;
    }
    return {{"network", std::move(network)}};
}

} // namespace engine
