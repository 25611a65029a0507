#include "updater/update_pull.hpp"

#include <csignal>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "base/log.hpp"
#include "base/scope_exit.hpp"
#include "base/sha256.hpp"
#include "repository.hpp"
#include "updater/boot_text.hpp"
#include "updater/image_info.hpp"
#include "updater/sysroot.hpp"

namespace updater {

namespace {

constexpr std::uint64_t mebibyte = 1024 * 1024;
constexpr std::uint64_t max_metadata_file = 8 * mebibyte; // a commit with the sizes of 100,000 objects
constexpr std::uint64_t object_slack = mebibyte;          // headers, padding of a compressor
constexpr std::uint64_t root_reserve = 64 * mebibyte;     // the checked-out tree's directories, /etc, state
constexpr std::uint64_t boot_reserve = mebibyte;
constexpr std::uint64_t block = 4096;

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

struct Kernel {
    std::string version;
    Repository::Entry vmlinuz;
    Repository::Entry initramfs;
    std::uint64_t size() const noexcept { return vmlinuz.size + initramfs.size; }
};

Kernel find_kernel(const Repository& repository, const std::string& commit) {
    const std::string modules = "usr/lib/modules";
    std::optional<Kernel> found;
    for (const Repository::Entry& directory : repository.list_directory(commit, modules)) {
        if (!directory.is_directory)
            continue;
        Kernel kernel;
        kernel.version = directory.name;
        for (Repository::Entry& file : repository.list_directory(commit, modules + "/" + directory.name)) {
            if (file.name == "vmlinuz")
                kernel.vmlinuz = std::move(file);
            else if (file.name == "initramfs.img")
                kernel.initramfs = std::move(file);
        }
        if (kernel.vmlinuz.name.empty())
            continue;
        if (found)
            throw base::Error(fmt::format("commit {}: two kernels, {} and {}", commit, found->version, kernel.version));
        found = std::move(kernel);
    }
    if (!found)
        throw base::Error(fmt::format("commit {}: no {}/*/vmlinuz", commit, modules));
    if (found->initramfs.name.empty())
        throw base::Error(fmt::format("commit {}: no {}/{}/initramfs.img", commit, modules, found->version));
    return *found;
}

/// What of the commit goes into its boot entry.
void check_boot_entry(const Repository& repository, const CommitInfo& commit, const Kernel& kernel) {
    const std::string what = "commit " + commit.checksum;
    require_safe_boot_text(commit.version, what + ": version");
    require_safe_boot_text(kernel.version, what + ": kernel version");
    const std::optional<std::string> os_release =
        repository.read_file(commit.checksum, "usr/lib/os-release", 64 * 1024);
    if (!os_release)
        throw base::Error(what + ": no usr/lib/os-release");
    require_safe_os_release(*os_release, what + ": os-release");
}

std::string resolve_ref(const PullRequest& request) {
    if (!is_valid_ref(request.ref))
        throw base::Error("'" + plain_text(request.ref, 100) + "' is not the name of a stream");
    std::string text = fetch_small_file(request.url, "refs/heads/" + request.ref, 256);
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
        text.pop_back();
    if (!base::is_sha256_hex(text))
        throw base::Error(fmt::format("{}/refs/heads/{}: not the name of a commit", request.url, request.ref));
    return text;
}

class UpdatePull {
public:
    UpdatePull(Sysroot& sysroot, const Paths& paths, const TrustedKeys& keys, const PullRequest& request,
               const PullObserver& observer)
        : repository_(sysroot.repository()), paths_(paths), keys_(keys), request_(request), observer_(observer) {
        for (Deployment& deployment : sysroot.deployments()) {
            if (deployment.booted)
                booted_ = std::move(deployment);
        }
    }

    PullOutcome run() {
        const std::string checksum = request_.commit.empty() ? resolve_ref(request_) : request_.commit;
        if (!base::is_sha256_hex(checksum))
            throw base::Error("'" + plain_text(checksum, 100) + "' is not the name of a commit");
        PullOutcome outcome;
        outcome.release = {booted_.release.version, checksum, ""};
        if (checksum == booted_.release.commit)
            return outcome;
        if (std::find(request_.refused.begin(), request_.refused.end(), checksum) != request_.refused.end())
            throw base::Error(
                fmt::format("commit {} failed on this host before and is not tried again unless forced", checksum));
        const bool was_here = repository_.has_commit(checksum);
        base::ScopeExit forget([&] {
            if (!was_here)
                repository_.forget_commit(checksum);
        });
        const CommitInfo commit = fetch_metadata(checksum);
        outcome.newer = true;
        outcome.release.version = commit.version;
        outcome.timestamp = commit.timestamp;
        const std::optional<MissingContent> missing = repository_.missing_content(checksum);
        if (missing) {
            outcome.download_bytes = missing->download_bytes;
            outcome.objects = missing->objects;
        }
        if (request_.metadata_only)
            return outcome;
        fetch_content(commit, missing, outcome);
        check_content(commit, outcome);
        repository_.set_ref(staged_ref, checksum);
        forget.dismiss();
        return outcome;
    }

private:
    void verify(const CommitInfo& commit) const {
        keys_.require(commit.bytes, repository_.signatures(commit.checksum), request_.threshold,
                      "commit " + commit.checksum);
    }

    CommitInfo fetch_metadata(const std::string& checksum) {
        limit_file_size(max_metadata_file);
        repository_.pull(request_.url, checksum, Repository::Part::metadata, [](const TransferProgress&) {});
        CommitInfo commit = repository_.read_commit(checksum);
        verify(commit);
        // A commit of another stream may be signed by the same key: a server must not move this host there.
        if (commit.has_ref_binding &&
            std::find(commit.refs.begin(), commit.refs.end(), request_.ref) == commit.refs.end())
            throw base::Error(fmt::format("commit {}: signed for another stream than {}", checksum, request_.ref));
        refuse_downgrade(commit);
        return commit;
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

    void fetch_content(const CommitInfo& commit, const std::optional<MissingContent>& missing,
                       const PullOutcome& outcome) {
        const std::uint64_t content = missing ? missing->disk_bytes + missing->objects * block : 0;
        require_space(paths_.root, content + root_reserve, "the update");
        if (!booted_.release.commit.empty())
            require_space(paths_.boot, find_kernel(repository_, booted_.release.commit).size() + boot_reserve,
                          "the update's kernel");
        const std::uint64_t largest = missing ? missing->largest_object + object_slack : request_.max_object_bytes;
        limit_file_size(std::max(largest, max_metadata_file));
        observer_.stage("downloading", outcome);
        try {
            repository_.pull(request_.url, commit.checksum, Repository::Part::everything,
                             [&](const TransferProgress& now) {
                                 observer_.progress(now.bytes, now.objects, std::max(now.requested, outcome.objects));
                             });
        } catch (const base::Error& error) {
            if (std::string_view(error.what()).find(std::strerror(EFBIG)) == std::string_view::npos)
                throw;
            throw base::Error(EFBIG, fmt::format("fetch commit {} from {}: an object is larger than the {} it may have",
                                                 commit.checksum, request_.url, megabytes(largest)));
        }
    }

    void check_content(const CommitInfo& commit, const PullOutcome& outcome) {
        observer_.stage("verifying", outcome);
        // The server sent the signatures a second time; what is stored now has to hold as well.
        verify(commit);
        repository_.check_objects(commit.checksum, booted_.release.commit,
                                  [&](std::uint64_t done, std::uint64_t total) { observer_.progress(0, done, total); });
        const Kernel kernel = find_kernel(repository_, commit.checksum);
        check_boot_entry(repository_, commit, kernel);
        bool same_kernel = false;
        if (!booted_.release.commit.empty()) {
            const Kernel old = find_kernel(repository_, booted_.release.commit);
            same_kernel =
                old.vmlinuz.digest == kernel.vmlinuz.digest && old.initramfs.digest == kernel.initramfs.digest;
        }
        require_space(paths_.boot, (same_kernel ? 0 : kernel.size()) + boot_reserve, "the update's kernel");
    }

    Repository& repository_;
    const Paths& paths_;
    const TrustedKeys& keys_;
    const PullRequest& request_;
    const PullObserver& observer_;
    Deployment booted_; ///< without a commit when it is not known
};

} // namespace

PullOutcome pull_update(Sysroot& sysroot, const Paths& paths, const TrustedKeys& keys, const PullRequest& request,
                        const PullObserver& observer) {
    return UpdatePull(sysroot, paths, keys, request, observer).run();
}

} // namespace updater
