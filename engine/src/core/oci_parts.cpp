#include "core/oci_parts.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <filesystem>

#include "engine/engine.hpp"

namespace engine {

namespace json = base::json;

namespace {

json::object mount(std::string_view target, std::string_view type, std::string_view source,
                   const std::vector<std::string>& options) {
    json::array list;
    for (const std::string& option : options)
        list.emplace_back(option);
    return {{"destination", target}, {"type", type}, {"source", source}, {"options", std::move(list)}};
}

void add_kernel_mounts(const ContainerConfig& config, json::array& mounts) {
    const std::string access = config.privileged ? "rw" : "ro";
    mounts.push_back(mount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}));
    mounts.push_back(mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}));
    mounts.push_back(mount("/dev/pts", "devpts", "devpts",
                           {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}));
    mounts.push_back(mount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", access}));
    mounts.push_back(mount("/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", access}));
    if (config.ipc_mode == "host") {
        mounts.push_back(
            mount("/dev/mqueue", "bind", "/dev/mqueue", {"rbind", "rprivate", "nosuid", "noexec", "nodev"}));
        mounts.push_back(mount("/dev/shm", "bind", "/dev/shm", {"rbind", "rprivate", "nosuid", "noexec", "nodev"}));
    } else {
        mounts.push_back(mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}));
        mounts.push_back(mount("/dev/shm", "tmpfs", "shm",
                               {"nosuid", "noexec", "nodev", "mode=1777", "size=" + std::to_string(config.shm_size)}));
    }
}

json::object own_mount(const ContainerMount& own) {
    std::vector<std::string> options = own.options;
    const auto has = [&](std::string_view option) {
        return std::find(options.begin(), options.end(), option) != options.end();
    };
    if (own.type == ContainerMount::Type::tmpfs) {
        for (const char* option : {"nosuid", "nodev"})
            if (!has(option))
                options.emplace_back(option);
        if (!has("exec") && !has("noexec"))
            options.emplace_back("noexec");
    } else {
        if (!has("bind") && !has("rbind"))
            options.emplace_back("rbind");
        options.push_back(own.propagation.empty() ? "rprivate" : own.propagation);
    }
    if (own.read_only && !has("ro"))
        options.emplace_back("ro");
    const bool is_tmpfs = own.type == ContainerMount::Type::tmpfs;
    return mount(own.target, is_tmpfs ? "tmpfs" : "bind", is_tmpfs ? "tmpfs" : own.source, options);
}

json::object device_rule(bool allow, const char* type, std::int64_t major, std::int64_t minor,
                         std::string_view access) {
    json::object rule{{"allow", allow}, {"access", access}};
    if (type != nullptr)
        rule["type"] = type;
    if (major >= 0)
        rule["major"] = major;
    if (minor >= 0)
        rule["minor"] = minor;
    return rule;
}

void add_device(DeviceList& list, const std::string& host_path, const std::string& container_path,
                const std::string& access) {
    struct stat status {};
    if (::stat(host_path.c_str(), &status) < 0 || !(S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)))
        throw EngineError(ErrorKind::invalid, "error gathering device information while adding custom device \"" +
                                                  host_path + "\": no such device");
    const char* type = S_ISBLK(status.st_mode) ? "b" : "c";
    list.devices.push_back(json::object{{"path", container_path},
                                        {"type", type},
                                        {"major", ::major(status.st_rdev)},
                                        {"minor", ::minor(status.st_rdev)},
                                        {"fileMode", status.st_mode & 0777},
                                        {"uid", status.st_uid},
                                        {"gid", status.st_gid}});
    list.rules.push_back(device_rule(true, type, ::major(status.st_rdev), ::minor(status.st_rdev), access));
}

/// Every device of the host's /dev, for privileged containers; what a container has anyway is left out.
void add_host_devices(DeviceList& list) {
    static const std::set<std::string> own = {"/dev/null",    "/dev/zero", "/dev/full",    "/dev/random",
                                              "/dev/urandom", "/dev/tty",  "/dev/console", "/dev/ptmx"};
    namespace fs = std::filesystem;
    std::error_code ignored;
    for (auto i = fs::recursive_directory_iterator("/dev", fs::directory_options::skip_permission_denied, ignored);
         i != fs::recursive_directory_iterator(); i.increment(ignored)) {
        const std::string path = i->path();
        if (path == "/dev/pts" || path == "/dev/shm" || path == "/dev/mqueue") {
            i.disable_recursion_pending();
            continue;
        }
        if (!i->is_symlink(ignored) && (i->is_character_file(ignored) || i->is_block_file(ignored)) &&
            !own.contains(path))
            add_device(list, path, path, "rwm");
    }
}

} // namespace

json::array container_mounts(const ContainerConfig& config, const std::string& directory) {
    json::array mounts;
    add_kernel_mounts(config, mounts);
    std::vector<ContainerMount> own;
    const auto given = [&](const std::string& target) {
        return std::any_of(config.mounts.begin(), config.mounts.end(),
                           [&](const ContainerMount& entry) { return entry.target == target; });
    };
    if (config.host_rootfs) {
        // The deployment is read-only: what a program writes outside its declared mounts, and the mount points of
        // those, have to be somewhere. 1777 and 755 as on the host.
        for (const auto& [target, mode] : {std::pair{"/run", "mode=755"}, {"/tmp", "mode=1777"}, {"/var", "mode=755"}})
            if (!given(target))
                mounts.push_back(mount(target, "tmpfs", "tmpfs", {"nosuid", "nodev", mode, "size=16m"}));
    }
    if (!directory.empty())
        for (const char* name : {"hosts", "hostname", "resolv.conf"}) {
            ContainerMount file;
            file.source = directory + "/" + name;
            file.target = std::string("/etc/") + name;
            if (!given(file.target))
                own.push_back(std::move(file));
        }
    own.insert(own.end(), config.mounts.begin(), config.mounts.end());
    // A mount below another comes after it.
    std::stable_sort(own.begin(), own.end(), [](const ContainerMount& a, const ContainerMount& b) {
        return std::count(a.target.begin(), a.target.end(), '/') < std::count(b.target.begin(), b.target.end(), '/');
    });
    for (const ContainerMount& entry : own) {
        // One over a file system that every container has replaces it.
        const auto same = std::find_if(mounts.begin(), mounts.end(), [&](const json::value& other) {
            return other.as_object().at("destination").as_string() == entry.target;
        });
        if (same != mounts.end())
            mounts.erase(same);
        mounts.push_back(own_mount(entry));
    }
    return mounts;
}

DeviceList container_devices(const ContainerConfig& config) {
    DeviceList list;
    if (config.privileged) {
        list.rules.push_back(device_rule(true, nullptr, -1, -1, "rwm"));
        add_host_devices(list);
        return list;
    }
    list.rules.push_back(device_rule(false, nullptr, -1, -1, "rwm"));
    // mknod is harmless: opening what it made is not allowed.
    list.rules.push_back(device_rule(true, "c", -1, -1, "m"));
    list.rules.push_back(device_rule(true, "b", -1, -1, "m"));
    // null, zero, full, random, urandom; tty, console, ptmx; terminals
    for (const std::int64_t minor : {3, 5, 7, 8, 9})
        list.rules.push_back(device_rule(true, "c", 1, minor, "rwm"));
    for (const std::int64_t minor : {0, 1, 2})
        list.rules.push_back(device_rule(true, "c", 5, minor, "rwm"));
    list.rules.push_back(device_rule(true, "c", 136, -1, "rwm"));
    for (const Device& device : config.devices)
        add_device(list, device.host_path, device.container_path.empty() ? device.host_path : device.container_path,
                   device.permissions);
    return list;
}

json::object resource_object(const Resources& r) {
    json::object memory, cpu, out;
    if (r.memory > 0)
        memory["limit"] = r.memory;
    if (r.memory_swap != 0)
        memory["swap"] = r.memory_swap;
    if (r.memory_reservation > 0)
        memory["reservation"] = r.memory_reservation;
    if (r.cpu_shares > 0)
        cpu["shares"] = r.cpu_shares;
    if (r.nano_cpus > 0) {
        constexpr std::int64_t period = 100'000;
        cpu["period"] = period;
        cpu["quota"] = r.nano_cpus * period / 1'000'000'000;
    } else {
        if (r.cpu_period > 0)
            cpu["period"] = r.cpu_period;
        if (r.cpu_quota > 0)
            cpu["quota"] = r.cpu_quota;
    }
    if (!r.cpuset_cpus.empty())
        cpu["cpus"] = r.cpuset_cpus;
    if (!r.cpuset_mems.empty())
        cpu["mems"] = r.cpuset_mems;
    if (!memory.empty())
        out["memory"] = std::move(memory);
    if (!cpu.empty())
        out["cpu"] = std::move(cpu);
    if (r.pids_limit > 0)
        out["pids"] = json::object{{"limit", r.pids_limit}};
    if (r.memory_min > 0)
        out["unified"] = json::object{{"memory.min", std::to_string(r.memory_min)}};
    return out;
}

} // namespace engine
