// Judges a state of the whole disk: what GRUB would boot, and what the kernel and the updater find after recovery.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "crash/deployments.hpp"
#include "crash/fsck.hpp"
#include "crash/grub_view.hpp"
#include "crash/journal.hpp"
#include "crash/loader_view.hpp"
#include "crash/recording.hpp"
#include "crash/states.hpp"

namespace crash {

struct Verdict {
    std::vector<std::string> boot;   ///< why it would not boot: GRUB finds nothing, or something broken
    std::vector<std::string> damage; ///< what is wrong with the data though it boots
    std::string revision;            ///< the one that GRUB boots next
    std::string deployment;          ///< its name; empty when it does not boot
    std::string bios_loader;         ///< identifier of the boot loader that BIOS starts, and UEFI's
    std::string uefi_loader;
    bool boots_by_loader_alone = false; ///< by a grub.cfg that reads /loader/entries and nothing else, too
    bool mended = false;                ///< stage 1 has to mend a torn superblock
    bool is_esp_half_written = false;   ///< the next update of the boot loader has to clear something away
    bool ok() const noexcept { return boot.empty() && damage.empty(); }
};

/// What stage 1 does when the kernel refuses a file system for what a power cut tore; true: it had to.
bool mend_torn(Disk& disk, const Extent& where);

class Checker {
public:
    struct Options {
        bool loader_only = false;  ///< see view_as_grub
        bool need_fallback = true; ///< the revision that is `ok` must boot as well
        std::string scratch;       ///< directory
    };
    /// `disk` is at the base image's state.
    Checker(Disk& disk, const Recording& recording, const std::vector<LogEntry>& log, Options options);

    /// What may differ between jobs may be as it is on the disk now: /etc of the deployments, the boot loaders.
    void allow_present();
    void forget_allowed();
    /// From here on these have to be under /var.
    void require(const std::string& path, const std::string& content) { reader_.required[path] = content; }
    /// As `require`, when the disk has that file now.
    void require_if_there(const std::string& path, const std::string& content);
    /// The disk is as it was before when this returns.
    Verdict check(bool compare_etc);

    /// What stage 1 and a mount do to both file systems of `disk`.
    void recover(Disk& disk) const {
        mend_torn(disk, disk.extents()[boot_extent_]);
        boot_journal_.recover(disk);
        mend_torn(disk, disk.extents()[root_extent_]);
        root_journal_.recover(disk);
    }

    std::uint64_t distinct() const noexcept { return verdicts_.size(); }
    bool last_was_known() const noexcept { return last_known_; }
    std::uint64_t fsck_runs() const noexcept { return boot_fsck_.runs() + root_fsck_.runs(); }
    std::uint64_t roots() const noexcept { return roots_.size(); }
    const LoaderChecker& loaders() const noexcept { return loaders_; }

private:
    struct Boot {
        GrubView view;
        GrubView loader_alone;
        std::map<std::string, std::string> loader_damage; ///< by identifier: which of its files is not whole
        std::string damage;                               ///< after recovery
        bool mended = false;
    };
    struct Root {
        std::shared_ptr<const RootView> view;
        std::vector<std::string> damage;
        bool mended = false;
    };
    const Boot& boot();
    const Root& root();
    Verdict judge(const Boot& boot, const Root& root, bool compare_etc);
    void judge_loaders(const Boot& boot, Verdict& verdict);
    std::string why_not(const BootEntry* entry, const Root& root) const;
    void add_changed_etc(const Boot& boot, const Root& root, std::vector<std::string>& damage) const;

    Disk& disk_;
    Options options_;
    std::size_t boot_extent_;
    std::size_t root_extent_;
    LoaderChecker loaders_;
    KernelDigests kernels_;
    Journal boot_journal_;
    Journal root_journal_;
    Fsck boot_fsck_;
    Fsck root_fsck_;
    RootReader reader_;
    std::map<std::string, std::vector<std::string>> etc_; ///< by deployment
    std::unordered_map<std::uint64_t, Boot> boots_;
    std::unordered_map<std::uint64_t, Root> roots_;
    std::unordered_map<std::uint64_t, bool> verdicts_;
    bool last_known_ = false;
};

std::size_t find_extent(const std::vector<Extent>& extents, const std::string& name);

} // namespace crash
