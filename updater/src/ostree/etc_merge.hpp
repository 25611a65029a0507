// /etc of a deployment: compared with its image and with the next one, and the merge of the account files.
#pragma once
#include <ostree.h>

#include <string>

#include "repository.hpp"
#include "updater/etc_report.hpp"

namespace updater {

/// `deployment`: directory of the booted deployment. With an empty `next` only `here` is filled.
EtcReport report_etc(const Repository& repository, const std::string& deployment, const std::string& commit,
                     const std::string& next);

/// Paths below /etc that were changed in the deployment `from` (against its image) and are not the same in `to`.
std::vector<std::string> edits_missing_in(const std::string& from, const std::string& to);

/// Merges the account files of `from` (the booted deployment) with those of the commit `next` by name, and tells what
/// was done. They are written into the deployment `to`, where libostree has just merged them as whole files; empty:
/// only told.
std::vector<std::string> merge_account_files(const Repository& repository, const std::string& from,
                                             const std::string& next, const std::string& to);

} // namespace updater
