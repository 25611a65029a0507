#include "core/container_files.hpp"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"

namespace engine {
namespace {

/// In overlayfs' options a colon separates, a comma ends, and a backslash takes their meaning.
std::string escape_option(const std::string& path) {
    std::string out;
    for (const char c : path) {
        if (c == ':' || c == ',' || c == '\\')
            out += '\\';
        out += c;
    }
    return out;
}

void write_in_place(const std::string& path, const std::string& text) {
    base::UniqueFd fd = base::open_file(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644);
    base::write_all(fd.get(), text, path);
    base::check(::fchmod(fd.get(), 0644), "chmod " + path); // whatever the umask
}

} // namespace

void mount_overlay(const std::vector<std::string>& lower, const std::string& directory, const std::string& target) {
    for (const char* name : {"upper", "work"})
        base::make_directories(directory + "/" + name, 0755);
    const auto options = [&](const std::vector<std::string>& paths) {
        std::string text = "lowerdir=";
        for (const std::string& path : paths)
            text += (text.back() == '=' ? "" : ":") + escape_option(path);
        return text + ",upperdir=" + escape_option(directory + "/upper") +
               ",workdir=" + escape_option(directory + "/work");
    };
    std::string data = options(lower);
    std::vector<base::UniqueFd> directories;
    if (data.size() >= 4000) {
        // mount(2) takes one page of options: many layers are named by descriptors.
        std::vector<std::string> short_paths;
        for (const std::string& path : lower) {
            directories.push_back(base::open_file(path, O_PATH | O_DIRECTORY));
            short_paths.push_back(fmt::format("/proc/self/fd/{}", directories.back().get()));
        }
        data = options(short_paths);
    }
    base::check(::mount("overlay", target.c_str(), "overlay", 0, data.c_str()), "mount overlay on " + target);
}

void mount_host_root(const std::string& target) {
    base::check(::mount("/", target.c_str(), nullptr, MS_BIND, nullptr), "bind / on " + target);
    if (::mount(nullptr, target.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV, nullptr) < 0) {
        const int error = errno;
        (void)::umount2(target.c_str(), MNT_DETACH);
        throw base::Error(error, "remount " + target + " read-only");
    }
}

void unmount(const std::string& target) {
    if (::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
        base::throw_errno("unmount " + target);
}

std::string make_resolv_conf(const std::string& host_text, const ContainerConfig& config) {
    const bool own_network = config.network_mode != "host";
    std::string servers, search, options, other;
    std::size_t begin = 0;
    while (begin < host_text.size()) {
        const std::size_t end = std::min(host_text.find('\n', begin), host_text.size());
        const std::string line = host_text.substr(begin, end - begin);
        begin = end + 1;
        const std::size_t space = line.find_first_of(" \t");
        const std::string word = line.substr(0, space);
        if (line.empty() || line[0] == '#' || line[0] == ';')
            continue;
        if (word == "nameserver") {
            const std::size_t value = line.find_first_not_of(" \t", word.size());
            const bool loopback = value != std::string::npos &&
                                  (line.compare(value, 4, "127.") == 0 || line.compare(value, 3, "::1") == 0);
            if (!(own_network && loopback))
                servers += line + "\n";
        } else if (word == "search" || word == "domain") {
            search += line + "\n";
        } else if (word == "options") {
            options += line + "\n";
        } else {
            other += line + "\n";
        }
    }
    const auto joined = [](const std::string& word, const std::vector<std::string>& values) {
        std::string text = word;
        for (const std::string& value : values)
            text += " " + value;
        return text + "\n";
    };
    if (!config.dns.empty()) {
        servers.clear();
        for (const std::string& server : config.dns)
            servers += "nameserver " + server + "\n";
    }
    if (!config.dns_search.empty())
        search = config.dns_search == std::vector<std::string>{"."} ? "" : joined("search", config.dns_search);
    if (!config.dns_options.empty())
        options = joined("options", config.dns_options);
    return servers + search + options + other;
}

std::string make_hosts(const ContainerConfig& config, const std::string& hostname, const std::string& address) {
    std::string text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n"
                       "ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";
    for (const std::string& entry : config.extra_hosts)
        if (const auto colon = entry.find(':'); colon != std::string::npos)
            text += entry.substr(colon + 1) + "\t" + entry.substr(0, colon) + "\n";
    if (!address.empty())
        text += address + "\t" + (config.domainname.empty() ? "" : hostname + "." + config.domainname + " ") +
                hostname + "\n";
    return text;
}

void write_etc_files(const std::string& directory, const ContainerConfig& config, const std::string& hostname,
                     const std::string& address) {
    write_in_place(directory + "/hostname", hostname + "\n");
    write_in_place(directory + "/hosts", make_hosts(config, hostname, address));
    write_in_place(directory + "/resolv.conf",
                   make_resolv_conf(base::read_file_if_exists("/etc/resolv.conf", 64 * 1024).value_or(""), config));
}

} // namespace engine
