#include "runtime/plan_namespaces.hpp"

#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "runtime/kernel.hpp"
#include "runtime/names.hpp"

namespace engine::runtime {

namespace {

/// The kernel would refuse a wrong type as well, when the child joins it; here the message can name the entry.
JoinedNamespace open_namespace(const Namespace& entry, std::size_t index) {
    const std::string where = "linux.namespaces[" + std::to_string(index) + "].path: ";
    JoinedNamespace joined;
    joined.flag = entry.flag;
    joined.path = entry.path;
    // Whatever else is there, a fifo or a terminal, must not hold us up.
    joined.fd.reset(open(entry.path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!joined.fd)
        base::throw_errno(where + "open " + entry.path);
    const bool is_namespace = kernel::file_system_magic(joined.fd.get()) == NSFS_MAGIC;
    const int type = is_namespace ? ioctl(joined.fd.get(), NS_GET_NSTYPE) : -1;
    if (type == entry.flag)
        return joined;
    throw base::Error(where + entry.path + " is no " + std::string(namespace_type(entry.flag)) + " namespace" +
                      (type > 0 ? ", but one of type " + std::string(namespace_type(type)) : ""));
}

/// The CLONE_NEW* of what a sysctl ("net/ipv4/ip_forward") belongs to; config_linux.cpp takes no others.
int namespace_of_sysctl(std::string_view path) {
    if (path.starts_with("net/"))
        return CLONE_NEWNET;
    if (path.starts_with("user/"))
        return CLONE_NEWUSER;
    return path == "kernel/hostname" || path == "kernel/domainname" ? CLONE_NEWUTS : CLONE_NEWIPC;
}

/// One joined by path may be the runtime's own, the host's: what is set in it would be set there.
void check_not_our_own(const Config& config, const JoinedNamespace& joined) {
    struct stat own {
    }, other{};
    const std::string file = "/proc/self/ns/" + std::string(namespace_file(joined.flag));
    base::check(stat(file.c_str(), &own), "stat " + file);
    base::check(fstat(joined.fd.get(), &other), "fstat " + joined.path);
    if (own.st_ino != other.st_ino || own.st_dev != other.st_dev)
        return;
    const std::string why = ": would change the host: " + joined.path + " is the runtime's own " +
                            std::string(namespace_type(joined.flag)) + " namespace";
    if (joined.flag == CLONE_NEWUTS && (!config.hostname.empty() || !config.domainname.empty()))
        throw base::Error((config.hostname.empty() ? "domainname" : "hostname") + why);
    for (const auto& [name, value] : config.linux_part.sysctl)
        if (namespace_of_sysctl(name) == joined.flag)
            throw base::Error("linux.sysctl: " + name + why);
}

} // namespace

void plan_namespaces(const Config& config, ContainerPlan& plan) {
    const Linux& linux_part = config.linux_part;
    for (std::size_t index = 0; index < linux_part.namespaces.size(); ++index) {
        const Namespace& entry = linux_part.namespaces[index];
        plan.user_namespace |= entry.flag == CLONE_NEWUSER;
        if (!entry.path.empty()) {
            // The user namespace first: it gives the right to join those that it owns.
            plan.joined.insert(entry.flag == CLONE_NEWUSER ? plan.joined.begin() : plan.joined.end(),
                               open_namespace(entry, index));
        } else if (entry.flag == CLONE_NEWUSER || entry.flag == CLONE_NEWPID) {
            plan.clone_flags |= static_cast<unsigned long>(entry.flag);
        } else {
            plan.unshare_flags |= static_cast<unsigned long>(entry.flag);
        }
    }
    for (const JoinedNamespace& joined : plan.joined)
        check_not_our_own(config, joined);
    plan.own_mounts = (plan.unshare_flags & CLONE_NEWNS) != 0;
    plan.bring_up_loopback = (plan.unshare_flags & CLONE_NEWNET) != 0;
    plan.await_parent = plan.user_namespace; // for the id mappings, and for limits that the child could not raise
    plan.uid_map = mapping_text(linux_part.uid_mappings);
    plan.gid_map = mapping_text(linux_part.gid_mappings);
    for (const TimeOffset& offset : linux_part.time_offsets)
        plan.time_offsets +=
            offset.clock + " " + std::to_string(offset.seconds) + " " + std::to_string(offset.nanoseconds) + "\n";
}

} // namespace engine::runtime
