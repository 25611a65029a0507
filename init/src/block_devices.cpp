#include "block_devices.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/unique_fd.hpp"
#include "files.hpp"
#include "log.hpp"

namespace init {

namespace {

constexpr std::size_t max_devices = 256;

struct DeviceList {
    Text<64> names[max_devices];
    std::size_t count = 0;
};

/// /sys/class/block, sorted. Static: 16 KiB are much for the stack, and PID 1 has one thread.
const DeviceList& list_devices() noexcept {
    static DeviceList list;
    list.count = 0;
    DIR* directory = ::opendir("/sys/class/block");
    if (directory == nullptr)
        return list;
    while (const dirent* entry = ::readdir(directory)) {
        const std::string_view name(entry->d_name);
        if (name.starts_with('.') || name.starts_with("loop") || name.starts_with("ram") || name.size() > 60)
            continue;
        if (list.count == max_devices) {
            log_warning("more than ", max_devices, " block devices, looking at the first only");
            break;
        }
        list.names[list.count++].assign(name);
    }
    ::closedir(directory);
    std::sort(list.names, list.names + list.count,
              [](const Text<64>& left, const Text<64>& right) { return left.view() < right.view(); });
    return list;
}

/// The disk that a partition is on: /sys/class/block/vda4 links to ".../block/vda/vda4".
void find_disk(std::string_view name, TextBuffer& disk) noexcept {
    disk.clear();
    const Path partition("/sys/class/block/", name, "/partition");
    const Path link("/sys/class/block/", name);
    char target[512];
    const ssize_t size = ::readlink(link.c_str(), target, sizeof target);
    if (size > 0 && exists(partition.c_str())) {
        std::string_view path(target, static_cast<std::size_t>(size));
        if (const std::size_t slash = path.rfind('/'); slash != std::string_view::npos) {
            path.remove_suffix(path.size() - slash);
            const std::size_t start = path.rfind('/');
            disk.add(start == std::string_view::npos ? path : skip(path, start + 1));
            return;
        }
    }
    disk.add(name);
}

/// sysfs writes '!' for the '/' of names such as "cciss/c0d0".
void node_of(std::string_view name, TextBuffer& node) noexcept {
    node.clear();
    node.add("/dev/");
    for (const char character : name)
        node.add(character == '!' ? '/' : character);
}

Superblock read_superblock(const char* node) noexcept {
    static std::uint8_t start[Superblock::size];
    const base::UniqueFd fd(::open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd)
        return {};
    const ssize_t size = read_at(fd.get(), start, sizeof start, 0);
    return size <= 0 ? Superblock() : Superblock::parse({start, static_cast<std::size_t>(size)});
}

std::uint64_t read_sysfs_number(std::string_view name, const char* attribute) noexcept {
    const Path path("/sys/class/block/", name, "/", attribute);
    Text<32> text;
    if (read_text(path.c_str(), text) != 0)
        return 0;
    return parse_number(trimmed(text.view())).value_or(0);
}

/// The kernel has no PARTUUID in sysfs before 6.9: read the disk's GPT. False: no GPT, or no such partition.
bool read_partuuid(const BlockDevice& device, TextBuffer& guid) noexcept {
    const std::uint64_t number = read_sysfs_number(device.name.view(), "partition");
    const std::uint64_t sector = read_sysfs_number(device.disk.view(), "queue/logical_block_size");
    if (number == 0 || sector < 512 || sector > 65536)
        return false;
    Text<80> node;
    node_of(device.disk.view(), node);
    const base::UniqueFd fd(::open(node.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    std::uint8_t block[512];
    GptHeader header;
    if (!fd || read_at(fd.get(), block, sizeof block, static_cast<off_t>(sector)) != sizeof block ||
        !parse_gpt_header(block, header) || number > header.entry_count)
        return false;
    const std::uint64_t offset = header.entries_lba * sector + (number - 1) * header.entry_size;
    return read_at(fd.get(), block, 128, static_cast<off_t>(offset)) == 128 && parse_gpt_guid({block, 128}, guid);
}

bool equal_ignoring_case(std::string_view left, std::string_view right) noexcept {
    const auto lower = [](char character) {
        return character >= 'A' && character <= 'Z' ? static_cast<char>(character + 32) : character;
    };
    return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                      [&](char a, char b) { return lower(a) == lower(b); });
}

bool matches(const DeviceSpec& spec, BlockDevice& device) noexcept {
    if (spec.kind == DeviceSpec::Kind::partuuid) {
        Text<40> guid;
        if (!read_partuuid(device, guid) || !equal_ignoring_case(guid.view(), spec.value))
            return false;
    }
    const Superblock block = read_superblock(device.node.c_str());
    device.type = block.type;
    switch (spec.kind) {
    case DeviceSpec::Kind::label:
        return block.type != FileSystem::none && block.label.view() == spec.value;
    case DeviceSpec::Kind::uuid:
        return block.type != FileSystem::none && equal_ignoring_case(block.uuid.view(), spec.value);
    case DeviceSpec::Kind::path:
        return device.node.view() == spec.value;
    case DeviceSpec::Kind::partuuid:
        return true;
    }
    return false;
}

void describe(std::string_view name, BlockDevice& device) noexcept {
    device.name.assign(name);
    node_of(name, device.node);
    find_disk(name, device.disk);
    device.type = FileSystem::none;
}

} // namespace

DeviceSpec DeviceSpec::parse(std::string_view text) noexcept {
    struct Prefix {
        std::string_view text;
        Kind kind;
    };
    constexpr Prefix prefixes[] = {{"LABEL=", Kind::label}, {"UUID=", Kind::uuid}, {"PARTUUID=", Kind::partuuid}};
    for (const Prefix& prefix : prefixes) {
        if (text.starts_with(prefix.text))
            return {prefix.kind, skip(text, prefix.text.size())};
    }
    return {Kind::path, text};
}

bool find_device(const DeviceSpec& spec, std::string_view preferred_disk, BlockDevice& found) noexcept {
    const DeviceList& list = list_devices();
    bool any = false;
    for (std::size_t i = 0; i < list.count; ++i) {
        BlockDevice device;
        describe(list.names[i].view(), device);
        if (!matches(spec, device))
            continue;
        if (!any) {
            found = device;
            any = true;
            continue;
        }
        const bool better = device.disk.view() == preferred_disk && found.disk.view() != preferred_disk;
        log_warning("two devices are ", spec.value, ": using ", (better ? device : found).node.view(), ", not ",
                    (better ? found : device).node.view());
        if (better)
            found = device;
    }
    return any;
}

bool wait_for_device(const DeviceSpec& spec, std::uint64_t deadline, BlockDevice& found) noexcept {
    // Virtual disks are there at once; give those on slow buses ever longer pauses.
    Msec pause = 10;
    while (!find_device(spec, {}, found)) {
        const Msec now = now_msec();
        if (now >= deadline)
            return false;
        pause_msec(std::min(pause, deadline - now));
        pause = std::min<Msec>(pause * 2, 500);
    }
    return true;
}

void log_devices() noexcept {
    const DeviceList& list = list_devices();
    if (list.count == 0)
        log_error("there are no block devices: is the driver of the disk in modules.list?");
    for (std::size_t i = 0; i < list.count; ++i) {
        BlockDevice device;
        describe(list.names[i].view(), device);
        const Superblock block = read_superblock(device.node.c_str());
        log_error("seen: ", device.node.view(), " ", file_system_name(block.type), " label=", block.label.view(),
                  " uuid=", block.uuid.view());
    }
}

} // namespace init
