// A recording: the disk before it, the log of every write since, and which writes belong to which job of the machine.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "qemu/images.hpp"

namespace crash {

/// The writes [first, last) of the log, made while the machine did one thing. Before it begins, and when it ends, the
/// machine has synced or was reset.
struct Job {
    std::string name;
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    bool judged = true; ///< false: the rig's own edits, whose half-done states nobody promised anything about
};

struct Recording {
    std::string directory;
    std::vector<Job> jobs;

    std::string base() const { return directory + "/base.raw"; }
    std::string log() const { return directory + "/writes.log"; }
    void save() const;
    static Recording load(const std::string& directory);
};

/// The job of a fresh machine: no update, and it imports the host's configuration into /etc.
inline constexpr const char* first_boot = "first boot";
/// The job in which an update is deployed, with the merge of /etc.
inline constexpr const char* finalise_job = "upgrade: finalise, merge of /etc";

/// The job in which GRUB is replaced.
inline constexpr const char* loader_job = "boot loader update";

enum class Script {
    upgrade, ///< first boot, upgrade with a merge of /etc, trial, mark-good, boot loader, rollback, cleanup
    whole,   ///< as well the boot after the rollback, a new kernel, and every other change of the deployments
    stock,   ///< `ostree admin deploy` instead of ours
    hasty,   ///< first boot and upgrade by an updater that never flushes /boot: one that is wrong
};

/// Boots a fresh machine of the rig and lets it do the script's jobs, each told as it begins.
Recording record(qemu::Images& images, Script script, const std::string& directory);

/// The files that the script puts on the machine and syncs: they have to be there in every state after that.
inline constexpr const char* marker_file = "rig-data";
inline constexpr const char* marker_text = "kept whatever happens\n";
inline constexpr const char* large_marker_file = "rig-lines"; ///< of some blocks: what seq(1) prints
inline constexpr unsigned large_marker_lines = 20'000;
std::string large_marker_text();

} // namespace crash
