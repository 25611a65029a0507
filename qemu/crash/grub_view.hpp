// What rootfs/boot/grub.cfg does on a disk, followed step by step: reads the environment block and the entries, takes a
// try, goes through the candidates. Change both together.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "crash/ext4.hpp"

namespace crash {

struct BootEntry {
    std::string version;
    std::string revision; ///< atoll.rev
    std::string ostree;   ///< the kernel argument's value
    std::string kernel;   ///< paths on /boot
    std::string initramfs;
    bool present = false; ///< both are there, so GRUB starts it
    std::string damage;   ///< why what it would start is not what was installed; empty: whole
};

struct GrubView {
    std::string ok; ///< from grubenv
    std::string trial;
    std::string tries;
    std::string failed;             ///< passed over once
    std::vector<BootEntry> entries; ///< newest first
    std::string damage;             ///< of the environment block; empty: none
    bool is_counted = true;         ///< false: the environment block is damaged, and takes no try

    /// What is booted at the next power-on; nullptr: nothing, GRUB goes on trying for ever.
    const BootEntry* next() const;
    /// What is booted once the newest entry's tries are used up.
    const BootEntry* fallback() const;
    const BootEntry* with_revision(const std::string& revision) const;

private:
    const BootEntry* first_present(const std::vector<const BootEntry*>& order) const;
    std::vector<const BootEntry*> back() const;
};

/// SHA-256 of kernel and initramfs together, by the keys of their contents. Of one disk.
using KernelDigests = std::map<std::pair<std::uint64_t, std::uint64_t>, std::string>;

/// `loader_only`: as a grub.cfg that knows nothing but /loader/entries, to compare with.
GrubView view_as_grub(const Ext4& boot, KernelDigests& known, bool loader_only = false);

} // namespace crash
