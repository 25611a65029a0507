// Getting one update into the repository: resolve, verify, measure, fetch, check. Nothing of it is deployed here.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "updater/paths.hpp"
#include "updater/record.hpp"
#include "updater/remote.hpp"

namespace updater {

struct PullRequest {
    Remote remote;
    std::string ref;                    ///< the stream
    std::string release;                ///< empty: what the stream offers; else a version that its channel file names
    std::string commit;                 ///< empty: what the stream's channel file names
    std::vector<std::string> host_keys; ///< base64, from the host's configuration
    bool metadata_only = false;         ///< only say whether there is an update
    bool allow_downgrade = false;
    bool ignore_rollout = false;      ///< also when this host's turn has not come
    std::vector<std::string> refused; ///< commits that failed before
};

struct PullOutcome {
    bool newer = false; ///< there is something else than what is booted, and it is this host's turn
    Release release;
    std::string waits; ///< why a newer release is not for this host yet
    std::int64_t timestamp = 0;
    std::uint64_t download_bytes = 0; ///< that were (or would be) fetched
    std::uint64_t objects = 0;
    bool by_delta = false; ///< a static delta is fetched, not object by object
};

/// Told as the work proceeds.
struct PullObserver {
    /// "downloading" or "verifying".
    std::function<void(const std::string& stage, const PullOutcome& outcome)> stage;
    std::function<void(std::uint64_t bytes, std::uint64_t objects, std::uint64_t total_objects)> progress;
};

class Sysroot;

/// Throws base::Error saying what was refused or failed; then the repository has what it had before, but for objects
/// of a download that was interrupted, which the next call takes over.
/// Content is protected from cleaning up by the ref `staged_ref` afterwards.
/// Lowers RLIMIT_FSIZE of the process: call it in a process of its own.
PullOutcome pull_update(Sysroot& sysroot, const Paths& paths, const PullRequest& request, const PullObserver& observer);

} // namespace updater
