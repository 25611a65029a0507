#include "crash/cross_check.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "crash/ext4.hpp"
#include "crash/fsck.hpp"
#include "crash/journal.hpp"

namespace crash {
namespace {

constexpr std::uint64_t block_sectors = 8;

/// Puts the chosen state on the disk; taken back by the caller.
void put(Disk& disk, const Chosen& chosen) {
    for (const std::uint64_t sector : std::vector<std::uint64_t>(disk.touched()))
        disk.write(sector, 0);
    for (const auto& [sector, id] : chosen.sectors)
        disk.write(sector, id);
}

/// e2fsprogs' replay in `image` and ours on the disk put the same into every block but the superblock and the group
/// descriptors behind it, whose time stamps and counters it writes anew. debugfs and not e2fsck, which then goes on to
/// free deleted files that were open. -n: a torn bitmap, which the journal sets right, would stop it.
std::string compare_recovery(Disk& disk, const Extent& where, const std::string& image) {
    const base::RunResult result = base::run({"debugfs", "-w", "-n", "-R", "journal_run", image});
    const std::string said = result.errors.substr(std::min(result.errors.find('\n') + 1, result.errors.size()));
    if (!result.status.success() || !said.empty()) // its first line is its name
        return "debugfs does not replay the journal: " + result.output + result.errors;
    const Journal journal(disk, where);
    journal.recover(disk);
    const std::uint64_t journal_super = Ext4(disk, where, Ext4::Reader::kernel).blocks(Ext4::journal).at(0);
    const base::UniqueFd file = base::open_file(image, O_RDONLY);
    std::array<std::uint8_t, sector_size> there{};
    for (const std::uint64_t sector : disk.touched()) {
        const std::uint64_t at = sector - where.first;
        if (at >= where.sectors || at / block_sectors <= 1 || at / block_sectors == journal_super)
            continue;
        if (::pread(file.get(), there.data(), there.size(), static_cast<off_t>(at * sector_size)) !=
            static_cast<ssize_t>(there.size()))
            base::throw_errno("read " + image);
        if (std::memcmp(there.data(), disk.sector(sector), sector_size) != 0)
            return fmt::format("{}: block {} after debugfs's replay is not as after ours", where.name,
                               at / block_sectors);
    }
    return {};
}

/// Takes the repository out of the file system and lets ostree look at it.
std::string check_repository(const std::string& image, const std::string& directory) {
    const std::string place = directory + "/extracted";
    base::remove_tree(place);
    base::make_directories(place);
    base::run_checked({"debugfs", "-R", "rdump /ostree/repo " + place, image});
    const base::RunResult result = base::run({"ostree", "fsck", "--quiet", "--repo=" + place + "/repo"});
    base::remove_tree(place);
    return result.status.success() ? std::string() : "ostree fsck: " + result.output + result.errors;
}

} // namespace

void cross_check(Disk& disk, const Chosen& chosen, const Recording& recording, ReplayReport& report) {
    const std::string image = recording.directory + "/cross-check.raw";
    for (const char* name : {"atoll-boot", "atoll-root"}) {
        const Extent* where = nullptr;
        for (const Extent& extent : disk.extents())
            if (extent.name == name)
                where = &extent;
        if (where == nullptr)
            throw base::Error(fmt::format("disk: no partition {}", name));
        const std::size_t mark = disk.mark();
        std::string problem;
        try {
            put(disk, chosen);
            write_image(disk, chosen, recording.base(), image + ".disk");
            copy_sparse(image + ".disk", where->first * sector_size, where->sectors * sector_size, image);
            problem = compare_recovery(disk, *where, image);
            ++report.recoveries_compared;
            if (problem.empty() && where->name == "atoll-root") {
                problem = check_repository(image, recording.directory);
                ++report.repositories_checked;
            }
        } catch (const std::exception& error) {
            problem = base::error_chain(error);
        }
        disk.take_back(mark);
        if (!problem.empty()) {
            // As it was before, to look at.
            const std::string kept = fmt::format("{}/cross-check-failed-{}.raw", recording.directory, name);
            write_image(disk, chosen, recording.base(), image + ".disk");
            copy_sparse(image + ".disk", where->first * sector_size, where->sectors * sector_size, kept);
            report.add_problem(fmt::format("{}; {}", problem, kept), chosen.state);
        }
        ::unlink(image.c_str());
        ::unlink((image + ".disk").c_str());
    }
}

} // namespace crash
