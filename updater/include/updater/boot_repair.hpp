// Mends what stands between GRUB, libostree and the deployments when a disk lost a part of it. GRUB and stage 1 boot
// all the same (they look further); but libostree reads no deployments then, and without them there is neither update
// nor rollback. Files and links only, nothing of libostree; what is whole is not touched.
#pragma once
#include <string>
#include <vector>

#include "updater/paths.hpp"

namespace updater {

/// One boot entry, as far as it matters here.
struct BootEntry {
    std::string linux;
    std::string initrd;
    std::string options;
    /// nullopt when a key is missing, given twice, or without value: neither GRUB nor libostree takes it then.
    static std::optional<BootEntry> parse(std::string_view text);
};

/// Returns what was done, a line each; empty: everything is whole. A problem that cannot be mended is logged.
///   /boot/loader leads nowhere        -> to the loader.N that has the booted revision's entry, or any entry
///   an entry cannot be read           -> put aside as damaged-NAME: libostree reads none when one is unreadable
///   `ostree=` of an entry leads nowhere -> the links of /ostree/boot.N are made again, by the deployments' origin
///   files
std::vector<std::string> repair_boot(const Paths& paths, const std::string& booted_revision);

} // namespace updater
