// Getting one update into the repository: resolve, verify, measure, fetch, check. Nothing of it is deployed here.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "updater/paths.hpp"
#include "updater/record.hpp"
#include "updater/trust.hpp"

namespace updater {

struct PullRequest {
    std::string url;            ///< of the repository: http or https
    std::string ref;            ///< the stream
    std::string commit;         ///< empty: what the ref names
    bool metadata_only = false; ///< only say whether there is an update
    bool allow_downgrade = false;
    std::vector<std::string> refused; ///< commits that failed before
    std::size_t threshold = 1;        ///< different keys that have to have signed
    /// Bytes of one file when the commit does not say how large its objects are.
    std::uint64_t max_object_bytes = std::uint64_t{1} << 30;
};

struct PullOutcome {
    bool newer = false; ///< there is something else than what is booted
    Release release;
    std::int64_t timestamp = 0;
    std::uint64_t download_bytes = 0; ///< that were (or would be) fetched; 0 when not known
    std::uint64_t objects = 0;
};

/// Told as the work proceeds.
struct PullObserver {
    /// "downloading" (sizes 0 when the commit does not tell) or "verifying".
    std::function<void(const std::string& stage, const PullOutcome& outcome)> stage;
    std::function<void(std::uint64_t bytes, std::uint64_t objects, std::uint64_t total_objects)> progress;
};

class Sysroot;

/// Throws base::Error saying what was refused or failed; then no commit was added to the repository.
/// Content is protected from cleaning up by the ref `staged_ref` afterwards.
/// Lowers RLIMIT_FSIZE of the process: call it in a process of its own.
PullOutcome pull_update(Sysroot& sysroot, const Paths& paths, const TrustedKeys& keys, const PullRequest& request,
                        const PullObserver& observer);

/// A small file of a repository, at most `limit` bytes. Throws base::Error.
std::string fetch_small_file(const std::string& url, const std::string& path, std::size_t limit);

} // namespace updater
