// /var of a factory reset. It belongs to all deployments, so that it cannot be replaced before the one that asked for
// it boots: a fresh one waits beside it as `var.reset-REVISION`, and stage 1 of that revision puts it in place by two
// renames (init/src/deployment.cpp). The one before stays as `var.old-REVISION`. When the revision falls back, stage 1
// of the known good one changes the two again. When it is found good, the old one is renamed to `var.gone-REVISION`
// first, so that nobody takes back what is half removed.
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
/// Gives up what was before the reset of revision `good`, and of resets that are not among `revisions` any more.
/// Returns whether there is something to remove.
bool retire_old_var(const std::string& stateroot, const std::string& good, const std::vector<std::string>& revisions);
/// Removes what was given up. Returns how many.
std::size_t remove_retired_var(const std::string& stateroot);
/// /var of a reset that failed; empty when `revision` is none.
std::string failed_reset_directory(const std::string& stateroot, const std::string& revision);

} // namespace updater
