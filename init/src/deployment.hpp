// The ostree deployment that `ostree=` names, made ready to be the root.
#pragma once
#include "block_devices.hpp"
#include "kernel_arguments.hpp"
#include "text.hpp"

namespace init {

/// Resolves `ostree=` below `sysroot`, without leaving it. Returns 0 or an errno value; ENOTDIR when it leads
/// elsewhere than to <sysroot>/ostree/deploy/<stateroot>/deploy/<deployment>.
int resolve_deployment(const char* sysroot, const char* argument, Path& deployment) noexcept;

/// For when the links that `ostree=` goes through are lost: the deployment whose origin file says `revision=REVISION`.
bool find_deployment_by_revision(const char* sysroot, std::string_view revision, Path& deployment) noexcept;

/// Gives the stateroot the fresh /var that a factory reset left for this revision, if it did.
void take_factory_var(const Path& stateroot, std::string_view revision) noexcept;

/// Takes a factory reset back that failed: the /var before it returns, for the revision that is known good. A reset
/// that was found good has left none.
void restore_var(const Path& stateroot, std::string_view revision) noexcept;

/// Mounts inside the deployment: itself read-only, /etc and the stateroot's /var writable, /boot. False: logged.
bool prepare_deployment(const Path& deployment, const BlockDevice& root, std::string_view revision) noexcept;

/// Moves `deployment` and the file system it is on to `new_root` and `new_root`/sysroot.
bool move_deployment(const Path& deployment, const char* new_root) noexcept;

} // namespace init
