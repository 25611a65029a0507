// What the files of Sysroot share.
#pragma once
#include <ostree.h>

#include "glib_owner.hpp"
#include "repository.hpp"
#include "updater/sysroot.hpp"

namespace updater {

struct Sysroot::Impl {
    Paths paths;
    std::string booted_revision;
    std::chrono::milliseconds lock_wait{};
    GOwner<OstreeSysroot> sysroot;
    std::unique_ptr<Repository> repository;

    std::vector<GOwner<OstreeDeployment>> list() const;
    GOwner<OstreeDeployment> booted() const;
    /// Absolute path of its root.
    std::string directory_of(OstreeDeployment* deployment) const;
    /// Throws base::Error when there is none.
    GOwner<OstreeDeployment> find(const std::string& revision) const;
    /// The boot order with `newest` (may be null) first: the booted one, pinned ones and those of the revisions in
    /// `keep` always stay; others, newest first, as long as there are no more than `count` in all.
    std::vector<OstreeDeployment*> kept(OstreeDeployment* newest, const std::vector<std::string>& keep,
                                        std::size_t count) const;
    void lock() const;
    /// Before every change, also before removing anything: takes the lock (held until this object goes; throws when
    /// another process still has it after `lock_wait`), and makes GRUB see what we see. A process that was killed may
    /// have left /boot frozen, or the newest `loader` in the journal only; libostree would then delete the directory
    /// that GRUB still reads.
    void begin_change();
    void write(const std::vector<OstreeDeployment*>& order);
};

/// The `options` of its boot entry.
std::string boot_options(OstreeDeployment* deployment);
std::string revision_of(OstreeDeployment* deployment);
/// Throws base::Error: libostree would otherwise take /boot/grub/grub.cfg for a reason to call grub-mkconfig.
void require_no_bootloader(OstreeRepo* repo);

} // namespace updater
