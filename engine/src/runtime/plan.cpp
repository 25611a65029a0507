#include "runtime/plan.hpp"

#include <linux/mount.h>
#include <sched.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "engine/capabilities.hpp"
#include "runtime/names.hpp"
#include "runtime/plan_namespaces.hpp"
#include "runtime/privileges.hpp"

namespace engine::runtime {

namespace {

// Every container has these (specification, "Default Devices"); /dev/ptmx and /dev/console come with the terminals.
constexpr struct {
    const char* path;
    unsigned major, minor;
} default_devices[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
                       {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};

// What lxcfs and the like put over procfs. Anything else there could hide or fake what the runtime relies on.
constexpr std::string_view procfs_destinations[] = {
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/fs/binfmt_misc",
};

constexpr std::size_t fsconfig_limit = 255; // FSCONFIG_SET_STRING takes 256 bytes with the final zero

void plan_file_system(const Mount& mount, const ContainerPlan& plan, const PlanOptions& options, PlannedMount& result) {
    result.type = mount.type;
    result.source = mount.source;
    result.data = mount.options.data;
    result.set = mount.options.set;
    result.recursive_set = mount.options.recursive_set;
    result.no_symlinks = mount.type == "proc" || mount.type == "sysfs";
    result.copy_up = mount.options.copy_up;
    if (mount.type == "cgroup" || mount.type == "cgroup2") {
        result.type = "cgroup2";
        result.data.clear(); // options of version 1 ("name=systemd") mean nothing here
        if ((plan.unshare_flags & CLONE_NEWCGROUP) == 0) {
            // Without a namespace the file system would show every group of the host: the container's own is bound.
            if (options.cgroup_path.empty() && options.cgroup_mount.empty())
                throw base::Error("mounts: " + mount.destination + ": there is no cgroup to mount");
            result.kind = PlannedMount::Kind::bind;
            result.own_cgroup = options.cgroup_path.empty();
            result.source = result.own_cgroup ? options.cgroup_mount : options.cgroup_path;
            result.propagation = MS_PRIVATE;
        }
    }
    if (mount.type == "tmpfs" && (result.set & MOUNT_ATTR_RDONLY) != 0) {
        result.late_readonly = true; // mount points below it are yet to be made
        result.set &= ~static_cast<std::uint64_t>(MOUNT_ATTR_RDONLY);
    }
    const bool too_long = std::any_of(result.data.begin(), result.data.end(),
                                      [](const auto& entry) { return entry.second.size() > fsconfig_limit; });
    result.inode_versions = mount.options.inode_versions;
    result.by_mount_call = too_long || result.inode_versions;
    for (const auto& [key, value] : result.data) {
        if (!result.by_mount_call)
            break;
        if (!result.joined_data.empty())
            result.joined_data += ',';
        result.joined_data += value.empty() ? key : key + "=" + value;
    }
    if (result.joined_data.size() > 4095)
        throw base::Error("mounts: " + mount.destination + ": the options are longer than the kernel's 4095 bytes");
    // Such a file system belongs to the container's user namespace, and only who is privileged over that and over the
    // mapping's may bring them together; the child is not privileged over the second, which the runtime made.
    if (result.id_mapped && plan.user_namespace)
        throw base::Error("mounts: " + mount.destination +
                          ": not supported: an id mapping of a new file system in a user namespace; bind one");
    if (result.by_mount_call && result.id_mapped)
        throw base::Error("mounts: " + mount.destination +
                          ": not supported: an id mapping with options that need mount(2)");
}

PlannedMount plan_mount(const Mount& mount, const ContainerPlan& plan, const PlanOptions& options) {
    PlannedMount result;
    result.destination = mount.destination;
    result.clear = mount.options.clear;
    result.recursive_clear = mount.options.recursive_clear;
    result.propagation = mount.options.propagation;
    result.propagation_recursive = mount.options.propagation_recursive;
    result.over_procfs = std::find(std::begin(procfs_destinations), std::end(procfs_destinations), mount.destination) !=
                         std::end(procfs_destinations);
    result.id_mapped = mount.options.id_mapped;
    result.recursive_id_map = mount.options.recursive_id_map;
    result.uid_map = mapping_text(mount.uid_mappings);
    result.gid_map = mapping_text(mount.gid_mappings);
    if (mount.options.remount) {
        result.kind = PlannedMount::Kind::remount;
        result.set = mount.options.set;
        result.recursive_set = mount.options.recursive_set;
        result.data = mount.options.data;
        return result;
    }
    if (!mount.options.bind) {
        plan_file_system(mount, plan, options, result);
        return result;
    }
    result.kind = PlannedMount::Kind::bind;
    result.source = mount.source.front() == '/' ? mount.source : options.bundle + "/" + mount.source;
    result.recursive = mount.options.recursive_bind;
    result.set = mount.options.set;
    result.recursive_set = mount.options.recursive_set;
    if (result.propagation == 0) { // what happens below it on the host is not the container's, nor the reverse
        result.propagation = MS_PRIVATE;
        result.propagation_recursive = true;
    }
    return result;
}

void plan_devices(const Config& config, ContainerPlan& plan) {
    for (const Mount& mount : config.mounts)
        if (mount.destination == "/dev" && mount.options.bind)
            plan.populate_dev = false; // somebody else's /dev: nothing is made there
    if (!plan.populate_dev)
        return;
    // mknod(2) is not for user namespaces, our own among them: the host's nodes are bound.
    const bool bind = plan.user_namespace || !is_host_root();
    for (const auto& device : default_devices)
        plan.devices.push_back({device.path, S_IFCHR | 0666, device.major, device.minor, 0, 0, bind, true});
    for (const Device& device : config.linux_part.devices) {
        if (device.path == "/dev/ptmx" || device.path == "/dev/console")
            continue; // made with the terminals
        const auto same = [&](const PlannedDevice& other) {
            return other.path == device.path;
        };
        plan.devices.erase(std::remove_if(plan.devices.begin(), plan.devices.end(), same), plan.devices.end());
        plan.devices.push_back({device.path, device.mode, device.major, device.minor, device.uid, device.gid,
                                bind && !S_ISFIFO(device.mode)});
    }
}

/// "Runtimes SHOULD NOT fail if the configuration requests capabilities that cannot be granted."
void drop_what_we_lack(ProcessPlan& plan) {
    CapabilitySets& sets = plan.capabilities;
    const std::uint64_t wanted = sets.effective | sets.permitted | sets.inheritable | sets.ambient;
    const std::uint64_t missing = wanted & ~permitted_capabilities();
    if (missing == 0)
        return;
    for (std::uint64_t* const set : {&sets.effective, &sets.permitted, &sets.inheritable, &sets.ambient})
        *set &= ~missing;
    std::string names;
    for (std::size_t number = 0; number < capability_names.size(); ++number)
        if ((missing >> number & 1U) != 0)
            names.append(" ").append(capability_names[number]);
    if (!names.empty())
        plan.warnings.push_back("process.capabilities: not granted, because the runtime itself lacks them:" + names);
}

void check_apparmor(const std::string& profile) {
    const auto enabled = base::read_file_if_exists("/sys/module/apparmor/parameters/enabled");
    if (!enabled || enabled->empty() || enabled->front() != 'Y')
        throw base::Error("process.apparmorProfile: \"" + profile + "\" cannot be applied: the kernel has no AppArmor");
}

} // namespace

CStringArray::CStringArray(std::vector<std::string> texts) : texts_(std::move(texts)) {
    pointers_.reserve(texts_.size() + 1);
    for (std::string& text : texts_)
        pointers_.push_back(text.data());
    pointers_.push_back(nullptr);
}

std::string mapping_text(const std::vector<IdMapping>& mappings) {
    std::string text;
    for (const IdMapping& mapping : mappings)
        text += std::to_string(mapping.container) + " " + std::to_string(mapping.host) + " " +
                std::to_string(mapping.size) + "\n";
    return text;
}

std::vector<PlannedHook> plan_hooks(const std::vector<Hook>& hooks) {
    std::vector<PlannedHook> planned;
    for (const Hook& hook : hooks) {
        PlannedHook entry;
        entry.path = hook.path;
        entry.argv = CStringArray(hook.args);
        entry.env = CStringArray(hook.env);
        entry.timeout_seconds = hook.timeout_seconds;
        planned.push_back(std::move(entry));
    }
    return planned;
}

ProcessPlan make_process_plan(const Process& process, const Linux& linux_part, const PlanOptions& options) {
    ProcessPlan plan;
    plan.argv = CStringArray(process.args);
    plan.find_home = true;
    plan.search_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for (const std::string& variable : process.env) {
        if (variable.starts_with("HOME="))
            plan.find_home = false;
        if (variable.starts_with("PATH="))
            plan.search_path = variable.substr(5);
    }
    plan.env = CStringArray(process.env);
    plan.cwd = process.cwd;
    plan.uid = process.user.uid;
    plan.gid = process.user.gid;
    plan.groups = process.user.additional_gids;
    plan.umask = process.user.umask.value_or(0022);
    plan.warnings = process.warnings;
    plan.capabilities = process.capabilities.value_or(CapabilitySets{});
    plan.last_capability = last_kernel_capability();
    // In a user namespace the child has all of them.
    if (linux_part.find(CLONE_NEWUSER) == nullptr)
        drop_what_we_lack(plan);
    plan.rlimits = process.rlimits;
    plan.no_new_privileges = process.no_new_privileges;
    plan.terminal = process.terminal;
    plan.size.ws_row = process.console_rows;
    plan.size.ws_col = process.console_columns;
    plan.apparmor = process.apparmor_profile == "unconfined" ? "" : process.apparmor_profile;
    if (!plan.apparmor.empty())
        check_apparmor(plan.apparmor);
    if (linux_part.seccomp) {
        plan.seccomp = FilterCache(options.filter_cache).get(*linux_part.seccomp);
        plan.seccomp_listener = linux_part.seccomp->listener_path;
    }
    plan.schedule_late = process.scheduler && !plan.seccomp_listener.empty();
    if (linux_part.personality) {
        plan.set_personality = true;
        plan.personality = *linux_part.personality;
    }
    if (options.new_keyring)
        plan.keyring = "_ses." + options.id;
    plan.preserve_fds = options.preserve_fds;
    return plan;
}

ContainerPlan make_plan(const Config& config, const PlanOptions& options) {
    if (!config.process)
        throw base::Error("config.json: \"process\" is missing");
    ContainerPlan plan;
    plan_namespaces(config, plan);
    plan.process = make_process_plan(*config.process, config.linux_part, options);
    plan.rootfs = config.root.path;
    plan.readonly_rootfs = config.root.readonly;
    plan.rootfs_propagation = config.linux_part.rootfs_propagation;
    plan.no_pivot = options.no_pivot;
    for (const Mount& mount : config.mounts)
        plan.mounts.push_back(plan_mount(mount, plan, options));
    plan_devices(config, plan);
    plan.masked_paths = config.linux_part.masked_paths;
    plan.readonly_paths = config.linux_part.readonly_paths;
    plan.sysctl = config.linux_part.sysctl;
    plan.hostname = config.hostname;
    plan.domainname = config.domainname;
    plan.create_container = plan_hooks(config.hooks.create_container);
    plan.start_container = plan_hooks(config.hooks.start_container);
    plan.process.schedule_late |= config.process->scheduler && !plan.start_container.empty();
    // Hooks of the child wait as well: the state they read has the pid, which the parent writes there.
    plan.await_hooks = !config.hooks.prestart.empty() || !config.hooks.create_runtime.empty() ||
                       !config.hooks.create_container.empty();
    if (!plan.own_mounts &&
        (!plan.mounts.empty() || plan.readonly_rootfs || !plan.masked_paths.empty() || !plan.readonly_paths.empty()))
        throw base::Error("linux.namespaces: a mount namespace joined by path takes no mounts, root.readonly, "
                          "maskedPaths or readonlyPaths: they would change it for those already there");
    if (!plan.own_mounts) {
        plan.populate_dev = false;
        plan.devices.clear();
    }
    return plan;
}

} // namespace engine::runtime
