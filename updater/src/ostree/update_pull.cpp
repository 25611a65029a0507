#include "updater/update_pull.hpp"

#include <csignal>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "base/fault_point.hpp"
#include "base/files.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/scope_exit.hpp"
#include "base/sha256.hpp"
#include "delta_download.hpp"
#include "kernel_files.hpp"
#include "repository.hpp"
#include "tree_check.hpp"
#include "updater/boot_text.hpp"
#include "updater/image_info.hpp"
#include "updater/sysroot.hpp"
#include "updater/trusted_source.hpp"

namespace updater {

namespace {

constexpr std::uint64_t mebibyte = 1024 * 1024;
constexpr std::uint64_t max_metadata_file = 8 * mebibyte; // a commit with the sizes of 100,000 objects
constexpr std::uint64_t max_detached_metadata = 256 * 1024;
constexpr std::uint64_t object_slack = mebibyte;      // headers, padding of a compressor
constexpr std::uint64_t root_reserve = 64 * mebibyte; // the checked-out tree's directories, /etc, state
constexpr std::uint64_t boot_reserve = mebibyte;
constexpr std::uint64_t block = 4096;
constexpr std::uint64_t parallel_fetches = 8;        // of libostree, each into a file of its own
constexpr std::uint64_t delta_slack = 64 * mebibyte; // a part, unpacked, holds several objects
constexpr std::uint64_t progress_step = 256 * 1024;
constexpr std::uint64_t objects_slack = 64; // metadata that libostree counts twice

std::string megabytes(std::uint64_t bytes) {
    return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

// Every file the process writes from here on is bounded: libostree does not bound what a server sends for an object.
// With SIGXFSZ ignored the write fails with EFBIG, and the transaction is given up in order.
void limit_file_size(std::uint64_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit {};
    base::check(::getrlimit(RLIMIT_FSIZE, &limit), "getrlimit");
    limit.rlim_cur = std::min<rlim_t>(bytes, limit.rlim_max);
    base::check(::setrlimit(RLIMIT_FSIZE, &limit), "setrlimit");
}

void require_space(const std::string& directory, std::uint64_t needed, const char* what) {
    struct statvfs status {};
    base::check(::statvfs(directory.c_str(), &status), "statvfs " + directory);
    const std::uint64_t available = std::uint64_t{status.f_bavail} * status.f_frsize;
    if (available < needed)
        throw base::Error(ENOSPC, fmt::format("{}: {} needed on {}, {} free, {} missing", what, megabytes(needed),
                                              directory, megabytes(available), megabytes(needed - available)));
}

/// The connection broke or the server failed: trying again later makes sense, and so do the objects that came.
bool is_interruption(const std::string& error) {
    return error.find("While fetching http") != std::string::npos ||
           error.find("Server returned HTTP 5") != std::string::npos;
}

/// Which interrupted download the leftovers are of. They are kept when the connection broke, and removed when anything
/// else went wrong, when the update is here, and when another one is wanted: never more than one download's.
class Partial {
public:
    Partial(Repository& repository, const Paths& paths, const std::string& commit)
        : repository_(repository), paths_(paths), file_(paths.partial_file()) {
        const std::string boot = base::read_file(paths.boot_id, 256);
        std::string old_commit;
        std::string old_boot;
        try {
            const base::json::value document =
                base::parse_json(base::read_file_if_exists(file_, 4096).value_or("{}"), file_);
            old_commit = base::JsonObject(document, file_).string("commit");
            old_boot = base::JsonObject(document, file_).string("boot_id");
        } catch (const base::Error& error) {
            base::log_warning("{}: what is left of a download is removed", error.what());
        }
        if (old_commit != commit)
            remove();
        else if (old_boot != boot)
            repository_.check_leftovers();
        base::write_durable(file_, base::json::serialize(base::json::object{{"commit", commit}, {"boot_id", boot}}),
                            0600);
    }
    void remove() noexcept {
        try {
            repository_.remove_leftovers();
            base::remove_tree(paths_.delta_directory());
            base::remove_tree(file_);
        } catch (const std::exception& error) {
            base::log_warning("{}", error.what());
        }
    }

private:
    Repository& repository_;
    const Paths& paths_;
    std::string file_;
};

class UpdatePull {
public:
    UpdatePull(Sysroot& sysroot, const Paths& paths, const PullRequest& request, const PullObserver& observer)
        : sysroot_(sysroot), repository_(sysroot.repository()), paths_(paths), request_(request), observer_(observer),
          source_(paths, request.remote, request.host_keys) {
        for (Deployment& deployment : sysroot.deployments()) {
            if (deployment.booted)
                booted_ = std::move(deployment);
        }
    }

    PullOutcome run() {
        if (!is_valid_ref(request_.ref))
            throw base::Error("'" + plain_text(request_.ref, 100) + "' is not the name of a stream");
        source_.follow_keys();
        base::fault_point("keys_followed");
        PullOutcome outcome;
        const std::string checksum = choose(outcome);
        if (checksum.empty())
            return outcome;
        const bool was_here = repository_.has_commit(checksum);
        base::ScopeExit forget([&] {
            if (!was_here)
                repository_.forget_commit(checksum);
        });
        const CommitInfo commit = fetch_metadata(checksum);
        outcome.newer = true;
        outcome.release.version = commit.version;
        outcome.timestamp = commit.timestamp;
        const MissingContent missing = repository_.missing_content(checksum);
        const ChannelDelta* delta = worthwhile_delta(missing);
        outcome.by_delta = delta != nullptr;
        outcome.download_bytes = delta != nullptr ? delta->size : missing.download_bytes;
        outcome.objects = missing.objects;
        if (request_.metadata_only)
            return outcome;
        require_room(missing, delta);
        Partial partial(repository_, paths_, checksum);
        base::fault_point("download_noted");
        fetch_content(commit, missing, delta, outcome, partial);
        base::fault_point("content_fetched");
        try {
            check_content(commit, outcome);
        } catch (...) {
            partial.remove();
            if (!was_here) {
                repository_.forget_commit(checksum);
                sysroot_.prune();
            }
            throw;
        }
        base::fault_point("content_checked");
        repository_.set_ref(staged_ref, checksum);
        forget.dismiss();
        base::fault_point("content_protected");
        partial.remove();
        base::fault_point("pulled");
        return outcome;
    }

private:
    /// The commit to go to; empty when there is nothing to do.
    std::string choose(PullOutcome& outcome) {
        std::string checksum = request_.commit;
        if (checksum.empty()) {
            channel_ = source_.channel(request_.ref, booted_.timestamp);
            wanted_ = request_.release.empty() ? channel_->release : channel_->find(request_.release);
            checksum = wanted_->commit;
            base::fault_point("channel_read");
        }
        if (!base::is_sha256_hex(checksum))
            throw base::Error("'" + plain_text(checksum, 100) + "' is not the name of a commit");
        outcome.release = {wanted_ ? wanted_->version : "", checksum, ""};
        if (checksum == booted_.release.commit) {
            outcome.release.version = booted_.release.version;
            return {};
        }
        if (wanted_)
            require_reachable(*wanted_, booted_.release.version);
        if (std::find(request_.refused.begin(), request_.refused.end(), checksum) != request_.refused.end())
            throw base::Error(
                fmt::format("commit {} failed on this host before and is not tried again unless forced", checksum));
        const bool in_turn = channel_ && request_.release.empty() && !request_.ignore_rollout;
        if (in_turn && !is_in_rollout(*channel_, machine_id())) {
            outcome.waits = fmt::format("{} is for {} % of the hosts so far, and this one is not among them",
                                        wanted_->version, channel_->rollout);
            return {};
        }
        return checksum;
    }

    std::string machine_id() const {
        std::string id = base::read_file_if_exists(paths_.machine_id, 256).value_or("");
        while (!id.empty() && std::isspace(static_cast<unsigned char>(id.back())) != 0)
            id.pop_back();
        return id;
    }

    void verify(const CommitInfo& commit, const std::vector<std::string>& signatures) const {
        source_.trust().require(commit.bytes, signatures, "commit " + commit.checksum);
    }

    /// The commit object alone, verified before libostree sees it.
    CommitInfo fetch_metadata(const std::string& checksum) {
        limit_file_size(max_metadata_file);
        const std::string path = "objects/" + checksum.substr(0, 2) + "/" + checksum.substr(2);
        CommitInfo commit = parse_commit(checksum, request_.remote.fetch(path + ".commit", max_metadata_file));
        const std::string detached =
            request_.remote.fetch_if_there(path + ".commitmeta", max_detached_metadata).value_or("");
        verify(commit, parse_signatures(checksum, detached));
        check_metadata(commit);
        base::fault_point("metadata_verified");
        repository_.write_partial_commit(commit, detached);
        base::fault_point("metadata_kept");
        return commit;
    }

    void check_metadata(const CommitInfo& commit) const {
        // A commit of another stream may be signed by the same key: a server must not move this host there.
        if (std::find(commit.refs.begin(), commit.refs.end(), request_.ref) == commit.refs.end())
            throw base::Error(fmt::format("commit {}: {}", commit.checksum,
                                          commit.refs.empty()
                                              ? "does not say which stream it is for (ostree.ref-binding)"
                                              : "signed for another stream than " + request_.ref));
        if (wanted_ && wanted_->version != commit.version)
            throw base::Error(fmt::format("commit {}: version '{}', where the channel file says {}", commit.checksum,
                                          plain_text(commit.version, 100), wanted_->version));
        refuse_downgrade(commit);
    }

    void refuse_downgrade(const CommitInfo& commit) const {
        if (request_.allow_downgrade || booted_.release.commit.empty())
            return;
        const bool older_version = !commit.version.empty() && !booted_.release.version.empty() &&
                                   compare_versions(commit.version, booted_.release.version) < 0;
        if (older_version || commit.timestamp < booted_.timestamp)
            throw base::Error(fmt::format("commit {}: version {} of {} is older than the booted {} of {}; downgrades "
                                          "have to be asked for",
                                          commit.checksum, plain_text(commit.version, 100), commit.timestamp,
                                          booted_.release.version, booted_.timestamp));
    }

    /// The channel's delta from what is booted when it is smaller than the objects that are missing.
    const ChannelDelta* worthwhile_delta(const MissingContent& missing) const {
        const ChannelDelta* delta = channel_ ? channel_->delta(booted_.release.commit, wanted_->commit) : nullptr;
        return delta != nullptr && delta->size < missing.download_bytes ? delta : nullptr;
    }

    void require_room(const MissingContent& missing, const ChannelDelta* delta) const {
        const std::uint64_t on_the_way =
            delta != nullptr ? delta->size + delta_slack : parallel_fetches * missing.largest_object;
        require_space(paths_.root, missing.disk_bytes + missing.objects * block + on_the_way + root_reserve,
                      "the update");
        if (!booted_.release.commit.empty())
            require_space(paths_.boot, find_kernel(repository_, booted_.release.commit).size() + boot_reserve,
                          "the update's kernel");
    }

    void fetch_content(const CommitInfo& commit, const MissingContent& missing, const ChannelDelta* delta,
                       const PullOutcome& outcome, Partial& partial) {
        const std::uint64_t largest = std::max(missing.largest_object + object_slack, max_metadata_file);
        observer_.stage("downloading", outcome);
        base::ScopeExit remove([&partial] { partial.remove(); });
        try {
            if (delta != nullptr)
                fetch_by_delta(*delta, missing);
            limit_file_size(largest);
            std::uint64_t before = delta != nullptr ? delta->size : 0;
            repository_.pull(
                request_.remote, commit.checksum, missing.objects + objects_slack, [&](const TransferProgress& now) {
                    observer_.progress(before + now.bytes, now.objects, std::max(now.requested, outcome.objects));
                });
            remove.dismiss();
        } catch (const base::Error& error) {
            const std::string chain = base::error_chain(error);
            if (is_interruption(chain))
                remove.dismiss();
            if (chain.find(std::strerror(EFBIG)) == std::string::npos)
                throw;
            throw base::Error(EFBIG, fmt::format("fetch commit {} from {}: an object is larger than the {} it may have",
                                                 commit.checksum, request_.remote.url, megabytes(largest)));
        }
    }

    void fetch_by_delta(const ChannelDelta& delta, const MissingContent& missing) {
        limit_file_size(std::max(delta.size, 2 * missing.largest_object + delta_slack));
        std::uint64_t bytes = 0;
        fetch_delta(request_.remote, delta, paths_.delta_directory(), [&](std::uint64_t more) {
            bytes += more;
            if (bytes / progress_step != (bytes - more) / progress_step)
                observer_.progress(bytes, 0, missing.objects);
        });
        base::fault_point("delta_fetched");
        repository_.apply_delta(paths_.delta_directory());
        base::fault_point("delta_applied");
        base::remove_tree(paths_.delta_directory());
    }

    void check_content(const CommitInfo& commit, const PullOutcome& outcome) {
        observer_.stage("verifying", outcome);
        // The server sent the signatures a second time; what is stored now has to hold as well.
        verify(commit, repository_.signatures(commit.checksum));
        repository_.check_objects(commit.checksum, booted_.release.commit,
                                  [&](std::uint64_t done, std::uint64_t total) { observer_.progress(0, done, total); });
        check_tree(repository_, commit.checksum);
        const KernelFiles kernel = find_kernel(repository_, commit.checksum);
        check_boot_entry(repository_, commit, kernel);
        DeployRequest deployment;
        deployment.commit = commit.checksum;
        sysroot_.require_bootable_arguments(deployment);
        bool same_kernel = false;
        if (!booted_.release.commit.empty()) {
            const KernelFiles old = find_kernel(repository_, booted_.release.commit);
            same_kernel =
                old.vmlinuz.digest == kernel.vmlinuz.digest && old.initramfs.digest == kernel.initramfs.digest;
        }
        require_space(paths_.boot, (same_kernel ? 0 : kernel.size()) + boot_reserve, "the update's kernel");
    }

    Sysroot& sysroot_;
    Repository& repository_;
    const Paths& paths_;
    const PullRequest& request_;
    const PullObserver& observer_;
    TrustedSource source_;
    std::optional<Channel> channel_;       ///< none when a commit was asked for by its name
    std::optional<ChannelRelease> wanted_; ///< of the channel
    Deployment booted_;                    ///< without a commit when it is not known
};

} // namespace

PullOutcome pull_update(Sysroot& sysroot, const Paths& paths, const PullRequest& request,
                        const PullObserver& observer) {
    return UpdatePull(sysroot, paths, request, observer).run();
}

} // namespace updater
