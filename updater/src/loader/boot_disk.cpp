#include "updater/boot_disk.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <charconv>
#include <filesystem>

#include "base/error.hpp"
#include "base/files.hpp"

namespace updater {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_attribute = 4096;

std::uint64_t number_in(const fs::path& file) {
    const std::string text = base::read_file(file, max_attribute);
    std::uint64_t value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc())
        throw base::Error(file.string() + ": not a number");
    return value;
}

/// "NAME=value" of a device's uevent file; empty when it is not there.
std::string property(const fs::path& device, std::string_view name) {
    const std::string text = base::read_file(device / "uevent", max_attribute);
    for (std::size_t start = 0; start < text.size();) {
        const std::size_t end = std::min(text.find('\n', start), text.size());
        const std::string_view line = std::string_view(text).substr(start, end - start);
        if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == '=')
            return std::string(line.substr(name.size() + 1));
        start = end + 1;
    }
    return {};
}

} // namespace

BootDisk find_boot_disk(const std::string& boot, const std::string& sysfs, const std::string& devices) {
    struct stat status {};
    base::check(::stat(boot.c_str(), &status), "stat " + boot);
    std::error_code missing;
    const fs::path partition = fs::canonical(
        fmt::format("{}/dev/block/{}:{}", sysfs, ::major(status.st_dev), ::minor(status.st_dev)), missing);
    if (missing || !fs::exists(partition / "partition"))
        throw base::Error(boot + ": not on a partition of a disk; a boot loader cannot be found from there");
    const fs::path whole = partition.parent_path();
    BootDisk disk{.device = devices + "/" + property(whole, "DEVNAME"), .bios_boot = {}, .esp = {}};
    for (const fs::directory_entry& entry : fs::directory_iterator(whole)) {
        if (!fs::exists(entry.path() / "partition"))
            continue;
        const std::string name = property(entry.path(), "PARTNAME");
        if (name == "bios-boot")
            disk.bios_boot = Extent{number_in(entry.path() / "start"), number_in(entry.path() / "size")};
        else if (name == "atoll-esp")
            disk.esp = devices + "/" + property(entry.path(), "DEVNAME");
    }
    return disk;
}

} // namespace updater
