#include "core/cgroups.hpp"

#include <poll.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"

namespace engine {
namespace {

void write_value(const std::string& path, const std::string& value) {
    const base::UniqueFd fd = base::open_file(path, O_WRONLY);
    base::check(::write(fd.get(), value.data(), value.size()), "write " + path);
}

/// "NAME VALUE" lines.
std::optional<std::uint64_t> value_of(const std::string& text, const std::string& name) {
    std::size_t begin = 0;
    while (begin < text.size()) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        if (text.compare(begin, name.size() + 1, name + " ") == 0)
            return std::strtoull(text.c_str() + begin + name.size() + 1, nullptr, 10);
        begin = end + 1;
    }
    return std::nullopt;
}

} // namespace

std::optional<std::string> find_cgroup2_mount(const std::string& mountinfo) {
    // proc(5): id parent major:minor root mountpoint options [tags...] - type source options
    std::size_t begin = 0;
    while (begin < mountinfo.size()) {
        const std::size_t end = std::min(mountinfo.find('\n', begin), mountinfo.size());
        const std::string line = mountinfo.substr(begin, end - begin);
        begin = end + 1;
        const std::size_t dash = line.find(" - ");
        if (dash == std::string::npos || line.compare(dash, 11, " - cgroup2 ") != 0)
            continue;
        std::size_t field = 0;
        for (int i = 0; i < 4 && field != std::string::npos; ++i)
            field = line.find(' ', field) == std::string::npos ? std::string::npos : line.find(' ', field) + 1;
        if (field != std::string::npos)
            return line.substr(field, line.find(' ', field) - field);
    }
    return std::nullopt;
}

Cgroups::Cgroups(const std::string& parent) : parent_(parent == "/" ? "" : parent) {
    if (parent == "none")
        return;
    mount_ = find_cgroup2_mount(base::read_file("/proc/self/mountinfo")).value_or("");
    if (mount_.empty())
        throw base::Error("there is no cgroup2 mount; --cgroup-parent none does without");
}

std::string Cgroups::container_path(const std::string& service, const std::string& id) const {
    if (!enabled())
        return {};
    return parent_ + (service.empty() ? "/atoll.user/" + id : "/atoll.system/" + service);
}

std::string Cgroups::directory(const std::string& path) const {
    return enabled() && !path.empty() ? mount_ + path : std::string();
}

base::UniqueFd Cgroups::monitors() const {
    if (!enabled())
        return {};
    const std::string path = mount_ + parent_ + "/atoll.system/monitors";
    base::make_directories(path);
    return base::open_file(path, O_PATH | O_DIRECTORY);
}

void set_frozen(const std::string& directory, bool frozen) {
    write_value(directory + "/cgroup.freeze", frozen ? "1" : "0");
    const base::UniqueFd events = base::open_file(directory + "/cgroup.events", O_RDONLY);
    // The kernel tells changes of cgroup.events by POLLPRI (cgroup-v2.rst).
    for (int i = 0; i < 50; ++i) {
        char text[256] = {};
        base::check(::pread(events.get(), text, sizeof text - 1, 0), "read " + directory + "/cgroup.events");
        if (value_of(text, "frozen") == (frozen ? 1 : 0))
            return;
        pollfd poller{events.get(), POLLPRI, 0};
        (void)::poll(&poller, 1, 200);
    }
    throw base::Error(ETIMEDOUT, (frozen ? "freeze " : "thaw ") + directory);
}

void kill_cgroup(const std::string& directory) {
    try {
        write_value(directory + "/cgroup.kill", "1");
    } catch (const base::Error& error) {
        if (error.error() != ENOENT && error.error() != ENODEV)
            throw;
    }
}

std::uint64_t oom_kills(const std::string& directory) {
    if (directory.empty())
        return 0;
    try {
        return value_of(base::read_file_if_exists(directory + "/memory.events", 4096).value_or(""), "oom_kill")
            .value_or(0);
    } catch (const base::Error&) {
        return 0; // the group goes while we read (ENODEV)
    }
}

} // namespace engine
