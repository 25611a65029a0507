// The deployments of this machine, on libostree. Whoever changes something here is a process of its own
// (updater-worker): nothing in it may be interrupted half-way by the daemon's other work.
//
// The crash-safe order of every change of boot entries. GRUB does not replay /boot's journal, so that what it reads is
// what has been checkpointed. libostree alone renames `loader`, and then deletes what the old one named at once; on
// disk `loader` may still be the old one.
//   0. checkpoint /boot's journal, so that what an earlier change that was cut off left is what GRUB sees as well
//   1. write the new deployment, its kernel and `loader.N`, without cleaning up (do_postclean = FALSE)
//   2. checkpoint again: the journal is empty, `loader` on disk is the new one
//   3. only then remove old deployments, kernels and loader directories (ostree_sysroot_cleanup)
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "updater/boot_assessment.hpp"
#include "updater/etc_report.hpp"
#include "updater/kernel_arguments.hpp"
#include "updater/paths.hpp"

namespace updater {

class Repository;

struct DeployRequest {
    std::string commit;
    std::string revision;                  ///< its atoll.rev
    std::string ref;                       ///< stream, for the origin file
    std::vector<std::string> keep;         ///< revisions that stay, beside the booted one and pinned ones
    std::size_t keep_count = 2;            ///< deployments in all, as far as what has to stay allows
    std::vector<ArgumentChange> arguments; ///< the host's, made after the merge
    bool factory = false;                  ///< /etc, /var and kernel arguments as shipped
};

struct DeployReport {
    EtcReport etc;
    std::vector<std::string> argument_conflicts; ///< names changed here and in the image; what is here was kept
};

class Sysroot {
public:
    static constexpr const char* stateroot = "atoll";

    /// `booted_revision` finds the booted deployment when libostree does not (a sysroot that is not "/").
    /// With `own_namespace` the mounts are made writable in a mount namespace of our own, when needed.
    /// A change waits for `lock_wait` while another process is changing deployments.
    static Sysroot open(const Paths& paths, const std::string& booted_revision, bool own_namespace,
                        std::chrono::milliseconds lock_wait);
    ~Sysroot();
    Sysroot(Sysroot&&) noexcept;

    /// In boot order.
    std::vector<Deployment> deployments() const;
    Repository& repository() noexcept;

    /// Makes the commit the newest deployment: /etc and kernel arguments merged from the booted one.
    DeployReport deploy(const DeployRequest& request);
    /// What deploying `next` (a commit that is here; empty: none) would do to /etc.
    EtcReport etc_report(const std::string& next) const;
    /// Paths below /etc that were edited in the booted deployment and are not so in the one with that revision.
    std::vector<std::string> edits_missing_in(const std::string& revision) const;
    /// Kernel arguments of the booted deployment, without the updater's own.
    std::vector<std::string> kernel_arguments() const;
    /// Throws base::Error when deploy() would refuse the kernel arguments that the request comes to, or cannot read
    /// what the image says of them.
    void require_bootable_arguments(const DeployRequest& request) const;
    /// Protects a commit that is here from cleaning up, for a deployment at the next shutdown. Throws base::Error when
    /// something of it is missing, or its kernel arguments cannot be in a boot entry. Returns its version.
    std::string stage_local(const DeployRequest& request);
    /// A pinned deployment is not removed until it is unpinned.
    void set_pinned(const std::string& revision, bool pinned);
    /// Removes deployments that are neither booted, pinned nor in `keep`, oldest first, down to `count`.
    /// Returns their revisions.
    std::vector<std::string> keep_only(const std::vector<std::string>& keep, std::size_t count);
    /// Makes the deployment with that revision the first one to boot.
    void put_first(const std::string& revision);
    /// Takes the protection of a staged commit away.
    void drop_staged();
    /// Points the local ref to the commit.
    void follow(const std::string& ref, const std::string& commit);
    /// Removes what no deployment uses any more.
    void cleanup();
    /// The same for objects only; changes nothing that boots.
    void prune();

private:
    struct Impl;
    explicit Sysroot(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// Makes everything written to the file system of `directory` readable without its journal: syncfs(2), and on ext4
/// EXT4_IOC_CHECKPOINT (Linux 5.14, CAP_SYS_ADMIN). When `directory` is not a file system of its own (`parent` is on
/// the same) only syncs. Throws base::Error.
void flush_boot(const std::string& directory, const std::string& parent);
/// Thaws a file system that a killed process left frozen, as libostree may, which freezes /boot before the loader swap;
/// nothing happens when it is not.
void thaw_boot(const std::string& directory) noexcept;

} // namespace updater
