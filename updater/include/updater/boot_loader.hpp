// GRUB on the boot disk beside the one that the booted image carries: what is there, and putting the image's there.
//
// Runs in the host's namespaces, as `updaterd --boot-loader`, started by init: updaterd's own container has no block
// devices. The order of an update, each step on the disk and read back before the next:
//   1. /boot/grub/ID with grub.cfg, modules and manifest; nothing points there yet
//   2. core.img into the half of the BIOS boot partition that is not used
//   3. the boot sector, one sector, points to that half
//   4. the new EFI image beside the old one
//   5. it takes the old one's name: one sector of the directory
// The directories of older boot loaders stay as long as an image on the disk names them, also the spare one.
#pragma once
#include <string>

#include "base/json.hpp"
#include "updater/paths.hpp"

namespace updater {

enum class LoaderJob { look, update, downgrade };

/// {disk, firmware, booted_by, carried: {id, version}, bios, esp: {state, id, version, detail}, update: "none" |
/// "current" | "available" | "older" | "refused", reason}; after an update also changed and removed. Throws
/// base::Error: one message that says why nothing (more) was changed.
base::json::object run_loader_job(const Paths& paths, LoaderJob job);

/// Does it and writes {"result": ...} or {"error": ...} to paths.boot_loader_answer. Returns whether it went well.
bool answer_loader_job(const Paths& paths, LoaderJob job);

} // namespace updater
