// /var of a factory reset. It belongs to all deployments, so that it cannot be replaced before the one that asked for
// it boots: a fresh one waits beside it as `var.reset-REVISION`, and stage 1 of that revision puts it in place by two
// renames (init/src/factory_var.cpp). Booting any other revision changes nothing. The old one stays as
// `var.old-REVISION` until the revision has been found good.
#pragma once
#include <string>
#include <vector>

#include "updater/paths.hpp"

namespace updater {

/// /ostree/deploy/atoll of the sysroot.
std::string stateroot_directory(const Paths& paths);

/// Makes `var.reset-REVISION`, on disk when it returns.
void prepare_factory_var(const std::string& stateroot, const std::string& revision);
/// Removes those that wait for a revision that is not among `revisions`.
void remove_stale_factory_var(const std::string& stateroot, const std::vector<std::string>& revisions);
/// Removes every `var.old-*`. Returns how many.
std::size_t remove_old_var(const std::string& stateroot);

} // namespace updater
