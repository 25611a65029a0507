#include "runtime/id_mapped_mounts.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/scope_exit.hpp"
#include "runtime/kernel.hpp"
#include "runtime/parent_side.hpp"

namespace engine::runtime {

namespace {

/// A user namespace with nobody in it. It takes a process to make one, which ends at once.
base::UniqueFd make_user_namespace(const std::string& uid_map, const std::string& gid_map, const std::string& where) {
    clone_args arguments{};
    arguments.flags = CLONE_NEWUSER;
    arguments.exit_signal = SIGCHLD;
    const pid_t pid = kernel::clone3(arguments);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        for (;;)
            pause();
    }
    if (pid < 0)
        base::throw_errno(where + "make a user namespace for the mapping (clone3)");
    const base::ScopeExit end([pid] {
        kill(pid, SIGKILL); // ours until it is waited for
        while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
    });
    const std::string process = "/proc/" + std::to_string(pid);
    write_file(process + "/uid_map", uid_map, (where + "uidMappings").c_str());
    write_file(process + "/gid_map", gid_map, (where + "gidMappings").c_str());
    return base::open_file(process + "/ns/user", O_RDONLY);
}

/// The namespace of `mount`'s mapping; a mapping that an earlier mount has is not made twice.
base::UniqueFd find_or_make(const ContainerPlan& plan, const PlannedMount& mount, const std::string& where) {
    if (mount.uid_map.empty())
        for (const JoinedNamespace& joined : plan.joined)
            if (joined.flag == CLONE_NEWUSER)
                return base::UniqueFd(base::check(fcntl(joined.fd.get(), F_DUPFD_CLOEXEC, 3), "duplicate descriptor"));
    const std::string& uid_map = mount.uid_map.empty() ? plan.uid_map : mount.uid_map;
    const std::string& gid_map = mount.uid_map.empty() ? plan.gid_map : mount.gid_map;
    for (const PlannedMount& other : plan.mounts) {
        if (!other.id_map)
            continue;
        const std::string& other_uid_map = other.uid_map.empty() ? plan.uid_map : other.uid_map;
        const std::string& other_gid_map = other.uid_map.empty() ? plan.gid_map : other.gid_map;
        if (other_uid_map == uid_map && other_gid_map == gid_map)
            return base::UniqueFd(base::check(fcntl(other.id_map.get(), F_DUPFD_CLOEXEC, 3), "duplicate descriptor"));
    }
    return make_user_namespace(uid_map, gid_map, where);
}

base::UniqueFd map_tree(const PlannedMount& mount, const std::string& where) {
    const unsigned recursive = mount.recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U;
    base::UniqueFd tree(
        base::check(kernel::open_tree(AT_FDCWD, mount.source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive),
                    where + "open_tree"));
    if (kernel::map_ids(tree.get(), mount.recursive_id_map ? AT_RECURSIVE : 0, mount.id_map.get()) < 0) {
        const int error = errno;
        throw base::Error(error, where + "mount_setattr" +
                                     (error == EINVAL ? ": does the file system support id-mapped mounts?" : ""));
    }
    return tree;
}

} // namespace

void prepare_id_mapped_mounts(ContainerPlan& plan) {
    for (std::size_t index = 0; index < plan.mounts.size(); ++index) {
        PlannedMount& mount = plan.mounts[index];
        if (!mount.id_mapped)
            continue;
        const std::string entry = "mounts[" + std::to_string(index) + "]";
        mount.id_map = find_or_make(plan, mount, entry + ".");
        if (mount.kind == PlannedMount::Kind::bind)
            mount.tree =
                map_tree(mount, entry + ": bind " + mount.source + " on " + mount.destination + " id-mapped: ");
    }
}

} // namespace engine::runtime
