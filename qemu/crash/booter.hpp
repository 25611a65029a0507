// Really boots disks that a power cut could have left.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "crash/checker.hpp"
#include "crash/report.hpp"
#include "qemu/rig.hpp"

namespace crash {

/// A state that was chosen to be booted: what differs from the base image.
struct Chosen {
    std::string state;                    ///< job and state
    std::string revision;                 ///< that the checker says boots; empty: none
    std::string bios_loader, uefi_loader; ///< identifiers of the boot loaders that start it
    std::string afterwards = {};          ///< a command that has to succeed in it then
    std::vector<std::pair<std::uint64_t, ContentId>> sectors;
};

Chosen choose(const Disk& disk, const std::string& state, const Verdict& verdict);
/// The whole disk as a file.
void write_image(const Disk& disk, const Chosen& chosen, const std::string& base_image, const std::string& to);

struct BootPlan {
    qemu::Firmware firmware = qemu::Firmware::uefi;
    Chosen chosen;
};
/// Boots each, `machines` at a time (0: as many as there are CPUs for, at most 4), until it is healthy and its revision
/// good. A state of which the checker says that it does not boot is as expected when the kernel's first message does
/// not come.
/// `on_boot` is told each as it ends, one at a time.
std::vector<BootReport> boot_all(const qemu::Images& images, const Disk& disk, const std::string& base_image,
                                 const std::string& directory, const std::vector<BootPlan>& plans, unsigned machines,
                                 const std::function<void(const BootReport&)>& on_boot);

} // namespace crash
