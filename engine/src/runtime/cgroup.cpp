#include "runtime/cgroup.hpp"

#include <dirent.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <charconv>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/scope_exit.hpp"
#include "runtime/device_filter.hpp"

namespace engine::runtime {

namespace {

constexpr std::size_t read_limit = 1024 * 1024;
constexpr std::string_view wanted_controllers[] = {"cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"};

bool is_cgroup2(const char* path) {
    struct statfs status {};
    return statfs(path, &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC;
}

/// What the files of a group answer that was removed: systemd removes its scopes' when the last process has ended.
bool is_gone(int error) {
    return error == ENOENT || error == ENODEV;
}

/// In a list of words separated by spaces and line breaks.
bool has_word(std::string_view words, std::string_view word) {
    for (std::size_t at = words.find(word); at != std::string_view::npos; at = words.find(word, at + 1)) {
        const bool begins = at == 0 || words[at - 1] == ' ' || words[at - 1] == '\n';
        const std::size_t after = at + word.size();
        if (begins && (after == words.size() || words[after] == ' ' || words[after] == '\n'))
            return true;
    }
    return false;
}

std::string mount_from_mountinfo() {
    const std::string text = base::read_file("/proc/self/mountinfo");
    std::string_view rest = text;
    while (!rest.empty()) {
        const std::size_t end = rest.find('\n');
        const std::string_view line = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
        // ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [TAGS] - TYPE ...
        const std::size_t separator = line.find(" - cgroup2 ");
        if (separator == std::string_view::npos)
            continue;
        std::size_t start = 0;
        for (int field = 0; field < 4; ++field)
            start = line.find(' ', start) + 1;
        return std::string(line.substr(start, line.find(' ', start) - start));
    }
    throw base::Error("cgroup: no file system of type cgroup2 is mounted; mount one on /sys/fs/cgroup");
}

// On a parent that was made for a container: whichever of its containers goes last takes it along.
constexpr const char* made_by_us = "trusted.ocirun";

void make_parent(const std::string& path) {
    // Without the mark (it takes CAP_SYS_ADMIN) the parent stays behind, empty.
    if (mkdir(path.c_str(), 0755) == 0)
        setxattr(path.c_str(), made_by_us, "1", 1, 0);
}

std::string read_at(int directory, const char* file) {
    return base::read_fd(base::open_at(directory, file, O_RDONLY).get(), read_limit, file);
}

/// Depth first, as rmdir(2) needs it. A cgroup's files go with its directory.
void remove_below(int parent, const char* name) {
    const base::UniqueFd directory(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory)
        return;
    DIR* stream = fdopendir(dup(directory.get()));
    if (stream == nullptr)
        return;
    const base::ScopeExit close_stream([&] { closedir(stream); });
    while (const dirent* entry = readdir(stream)) {
        if (entry->d_type != DT_DIR || std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0)
            continue;
        remove_below(directory.get(), entry->d_name);
        unlinkat(directory.get(), entry->d_name, AT_REMOVEDIR);
    }
}

void collect_processes(int directory, std::vector<pid_t>& pids) {
    const base::UniqueFd list(openat(directory, "cgroup.procs", O_RDONLY | O_CLOEXEC));
    if (list) {
        std::string text;
        try {
            text = base::read_fd(list.get(), read_limit, "cgroup.procs");
        } catch (const base::Error& error) {
            if (error.error() != EOPNOTSUPP && error.error() != ENODEV) // a threaded group; one that goes
                throw;
        }
        const char* at = text.data();
        const char* const end = at + text.size();
        while (at < end) {
            pid_t pid = 0;
            const auto [next, error] = std::from_chars(at, end, pid);
            if (error == std::errc{} && pid > 0)
                pids.push_back(pid);
            at = next + 1;
        }
    }
    DIR* stream = fdopendir(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (stream == nullptr)
        return;
    const base::ScopeExit close_stream([&] { closedir(stream); });
    while (const dirent* entry = readdir(stream)) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        const base::UniqueFd below(openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (below)
            collect_processes(below.get(), pids);
    }
}

} // namespace

std::string Cgroup::mount_point() {
    for (const char* usual : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"})
        if (is_cgroup2(usual))
            return usual;
    return mount_from_mountinfo();
}

std::string Cgroup::of_process(pid_t pid) {
    const std::string list = "/proc/" + std::to_string(pid) + "/cgroup";
    const std::string text = base::read_file(list);
    const std::size_t line = text.starts_with("0::") ? 0 : text.find("\n0::");
    if (line == std::string::npos)
        throw base::Error(list + ": the process is in no cgroup of version 2");
    const std::size_t begin = line + (line == 0 ? 3 : 4);
    return text.substr(begin, text.find('\n', begin) - begin);
}

Cgroup Cgroup::open(const std::string& path) {
    if (path.empty())
        throw base::Error("the container has no cgroup: it was made by a user without one, or without cgroups");
    Cgroup group(path, mount_point() + path);
    group.directory_.reset(::open(group.absolute_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!group.directory_ && errno != ENOENT)
        base::throw_errno("open cgroup " + group.absolute_);
    return group;
}

Cgroup Cgroup::create(const std::string& path) {
    Cgroup group(path, mount_point() + path);
    const bool existed = access(group.absolute_.c_str(), F_OK) == 0;
    group.make_directories();
    base::ScopeExit undo([&] {
        if (!existed) {
            try {
                group.remove();
            } catch (const base::Error&) { // the error that brought us here says more
            }
        }
    });
    group.directory_ = base::open_file(group.absolute_, O_RDONLY | O_DIRECTORY);
    if (existed) {
        if (group.populated()) {
            throw base::Error("linux.cgroupsPath: cgroup " + group.absolute_ + " has processes already");
        }
        group.freeze(false);
    }
    group.enable_controllers();
    undo.dismiss();
    return group;
}

void Cgroup::make_directories() {
    // Another container's end may remove a parent between two steps: then begin again.
    for (int attempt = 0; attempt < 16; ++attempt) {
        if (mkdir(absolute_.c_str(), 0755) == 0 || errno == EEXIST)
            return;
        if (errno != ENOENT)
            break;
        const std::size_t mount_length = absolute_.size() - path_.size();
        for (std::size_t slash = path_.find('/', 1); slash != std::string::npos; slash = path_.find('/', slash + 1))
            make_parent(absolute_.substr(0, mount_length + slash));
    }
    base::throw_errno("make cgroup " + absolute_);
}

void Cgroup::enable_controllers() const {
    const std::size_t mount_length = absolute_.size() - path_.size();
    const std::string available = base::read_file(absolute_.substr(0, mount_length) + "/cgroup.controllers");
    const std::string own = read("cgroup.controllers");
    std::vector<std::string_view> missing;
    for (const std::string_view controller : wanted_controllers)
        if (has_word(available, controller) && !has_word(own, controller))
            missing.push_back(controller);
    if (missing.empty())
        return;
    // From the root down to the parent. A parent with processes refuses some controllers (EBUSY), a threaded one
    // others: what is then missing is an error only if a limit needs it, and that is told with the limit's name.
    for (std::size_t slash = 0; slash != std::string::npos; slash = path_.find('/', slash + 1)) {
        const std::string parent = absolute_.substr(0, mount_length + slash);
        const base::UniqueFd control(::open((parent + "/cgroup.subtree_control").c_str(), O_WRONLY | O_CLOEXEC));
        if (!control)
            continue;
        for (const std::string_view controller : missing) {
            const std::string line = "+" + std::string(controller);
            if (::write(control.get(), line.data(), line.size()) < 0)
                continue;
        }
    }
}

std::string Cgroup::read(const char* file) const {
    if (!directory_)
        throw base::Error(ENOENT, "open cgroup " + absolute_);
    return read_at(directory_.get(), file);
}

namespace {

/// `cpu.max` is "QUOTA PERIOD"; a new period alone (" PERIOD") keeps the quota.
std::string with_quota(const std::string& current, const std::string& value) {
    return value.starts_with(' ') ? current.substr(0, current.find(' ')) + value : value;
}

} // namespace

void Cgroup::write(const CgroupWrite& entry, const std::string& controllers) const {
    const std::string controller = entry.controller();
    if (!has_word(controllers, controller)) {
        if (entry.is_no_limit())
            return;
        throw base::Error(entry.json_path + ": cgroup controller \"" + controller + "\" is not available in " +
                          absolute_ + " (" + entry.file + ")");
    }
    std::string name = entry.file;
    base::UniqueFd file(openat(directory_.get(), name.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file && errno == ENOENT && name == "io.weight") { // with the BFQ scheduler instead of the cost model
        name = "io.bfq.weight";
        file.reset(openat(directory_.get(), name.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    }
    if (!file && errno == ENOENT && entry.optional)
        return;
    if (!file)
        base::throw_errno(entry.json_path + ": open " + absolute_ + "/" + name);
    const std::string value = name == "cpu.max" ? with_quota(read("cpu.max"), entry.value) : entry.value;
    if (::write(file.get(), value.data(), value.size()) < 0)
        base::throw_errno(entry.json_path + ": write \"" + value + "\" to " + absolute_ + "/" + name);
}

void Cgroup::write_all(const std::vector<CgroupWrite>& writes) const {
    if (writes.empty())
        return;
    const std::string controllers = read("cgroup.controllers");
    for (const CgroupWrite& entry : writes)
        write(entry, controllers);
}

void Cgroup::apply(const Resources& resources) const {
    write_all(resources.writes);
    if (resources.has_device_rules)
        attach_device_program(fd(), device_program(resources.devices));
}

void Cgroup::update(const Resources& resources) const {
    if (!directory_)
        throw base::Error("cgroup " + absolute_ + " does not exist");
    if (resources.memory_below_use) {
        const std::string use = read("memory.current");
        std::uint64_t bytes = 0;
        std::from_chars(use.data(), use.data() + use.size(), bytes);
        if (bytes > *resources.memory_below_use)
            throw base::Error(EBUSY, "memory.limit: the container uses " + std::to_string(bytes) +
                                         " bytes, and memory.checkBeforeUpdate is set");
    }
    write_all(resources.writes);
    if (resources.has_device_rules)
        replace_device_program(fd(), device_program(resources.devices));
}

void Cgroup::hand_over(uid_t owner) const {
    const auto give = [&](const char* name, int flags) {
        if (fchownat(fd(), name, owner, static_cast<gid_t>(-1), flags) < 0 && errno != ENOENT)
            base::throw_errno("give cgroup " + absolute_ + "/" + name + " to its container");
    };
    give("", AT_EMPTY_PATH);
    const std::optional<std::string> listed = base::read_file_if_exists("/sys/kernel/cgroup/delegate");
    std::string_view rest =
        listed ? std::string_view(*listed) : std::string_view("cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n");
    while (!rest.empty()) {
        const std::size_t end = rest.find('\n');
        const std::string name(rest.substr(0, end));
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
        if (!name.empty() && name.find('/') == std::string::npos)
            give(name.c_str(), AT_SYMLINK_NOFOLLOW);
    }
}

bool Cgroup::has_controller(std::string_view name) const {
    return has_word(read("cgroup.controllers"), name);
}

std::vector<pid_t> Cgroup::processes() const {
    std::vector<pid_t> pids;
    if (directory_)
        collect_processes(directory_.get(), pids);
    return pids;
}

bool Cgroup::populated() const {
    if (!directory_)
        return false;
    try {
        return read("cgroup.events").find("populated 1") != std::string::npos;
    } catch (const base::Error& error) {
        if (is_gone(error.error()))
            return false;
        throw;
    }
}

bool Cgroup::frozen() const {
    return directory_ && read("cgroup.events").find("frozen 1") != std::string::npos;
}

void Cgroup::freeze(bool freeze) const {
    if (!directory_)
        throw base::Error("cgroup " + absolute_ + " does not exist");
    const base::UniqueFd file = base::open_at(directory_.get(), "cgroup.freeze", O_WRONLY);
    base::write_all(file.get(), freeze ? "1" : "0", absolute_ + "/cgroup.freeze");
    if (!wait_for_event(freeze ? "frozen 1" : "frozen 0", std::chrono::seconds(10))) {
        if (freeze)
            base::write_all(file.get(), "0", absolute_ + "/cgroup.freeze");
        throw base::Error(ETIMEDOUT, (freeze ? "freeze cgroup " : "thaw cgroup ") + absolute_);
    }
}

void Cgroup::kill() const {
    if (!directory_)
        return;
    const base::UniqueFd file(openat(directory_.get(), "cgroup.kill", O_WRONLY | O_CLOEXEC));
    if ((!file || ::write(file.get(), "1", 1) < 0) && !is_gone(errno))
        base::throw_errno("kill: " + absolute_ + "/cgroup.kill");
}

bool Cgroup::wait_until_empty(std::chrono::milliseconds timeout) const {
    return !directory_ || wait_for_event("populated 0", timeout);
}

bool Cgroup::wait_for_event(std::string_view line, std::chrono::milliseconds timeout) const {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    const base::UniqueFd events(openat(directory_.get(), "cgroup.events", O_RDONLY | O_CLOEXEC));
    if (!events && !is_gone(errno))
        base::throw_errno("open " + absolute_ + "/cgroup.events");
    for (;;) {
        char text[256];
        const ssize_t size = events ? pread(events.get(), text, sizeof text, 0) : -1;
        if (size < 0 && is_gone(errno))
            return true;
        if (size > 0 && std::string_view(text, static_cast<std::size_t>(size)).find(line) != std::string_view::npos)
            return true;
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0)
            return false;
        // kernfs reports a change as POLLPRI and POLLERR since the last read.
        pollfd wait{events.get(), POLLPRI, 0};
        if (poll(&wait, 1, static_cast<int>(left.count())) < 0 && errno != EINTR)
            base::throw_errno("poll " + absolute_ + "/cgroup.events");
    }
}

void Cgroup::remove() const {
    if (rmdir(absolute_.c_str()) < 0 && errno != ENOENT) {
        if (errno != EBUSY && errno != ENOTEMPTY)
            base::throw_errno("remove cgroup " + absolute_);
        // Groups below, made by the container, or a process that is just being reaped.
        remove_below(AT_FDCWD, absolute_.c_str());
        if (directory_ && !wait_for_event("populated 0", std::chrono::seconds(5)))
            throw base::Error(EBUSY, "remove cgroup " + absolute_ + ": it has processes");
        remove_below(AT_FDCWD, absolute_.c_str());
        if (rmdir(absolute_.c_str()) < 0 && errno != ENOENT)
            base::throw_errno("remove cgroup " + absolute_);
    }
    const std::size_t mount_length = absolute_.size() - path_.size();
    for (std::string parent = absolute_; parent.size() > mount_length;) {
        parent.resize(parent.rfind('/'));
        if (getxattr(parent.c_str(), made_by_us, nullptr, 0) < 0 || rmdir(parent.c_str()) < 0)
            break; // somebody else's, or others live there
    }
}

} // namespace engine::runtime
