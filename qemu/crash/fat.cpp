// Microsoft's FAT specification, version 1.03: the type follows from the number of clusters alone.
#include "crash/fat.hpp"

#include <array>

#include "base/error.hpp"
#include "crash/write_log.hpp"

namespace crash {
namespace {

constexpr std::size_t entry_size = 32;
constexpr std::size_t name_size = 11;
constexpr std::uint32_t clusters_of_fat12 = 4085;
constexpr std::uint32_t clusters_of_fat16 = 65525;
/// Of a directory: 65536 entries.
constexpr std::size_t max_directory_sectors = 4096;
constexpr std::size_t max_file_sectors = 128UL * 1024 * 1024 / sector_size;

using Sector = std::array<std::uint8_t, sector_size>;

std::uint32_t number(const std::uint8_t* bytes, std::size_t size) {
    std::uint32_t value = 0;
    while (size-- > 0)
        value = value << 8U | bytes[size];
    return value;
}

/// "BOOTX64 EFI" -> "BOOTX64.EFI"
std::string whole_name(const std::uint8_t* entry) {
    std::string name;
    for (std::size_t i = 0; i < name_size; ++i) {
        if (i == 8 && entry[i] != ' ')
            name += '.';
        if (entry[i] != ' ')
            name += static_cast<char>(entry[i]);
    }
    return name;
}

} // namespace

Fat::Fat(Read read, std::uint64_t sectors) : read_(std::move(read)) {
    Sector boot{};
    if (sectors == 0)
        throw base::Error("FAT: nothing there");
    read_(0, 1, boot.data());
    const auto field = [&](std::size_t offset, std::size_t size) {
        return number(boot.data() + offset, size);
    };
    const auto either = [&](std::size_t small, std::size_t large) {
        return field(small, 2) != 0 ? field(small, 2) : field(large, 4);
    };
    cluster_sectors_ = field(13, 1);
    const std::uint64_t table_sectors = either(22, 36);
    table_ = field(14, 2);
    root_ = table_ + field(16, 1) * table_sectors;
    root_sectors_ = (field(17, 2) * entry_size + sector_size - 1) / sector_size;
    data_ = root_ + root_sectors_;
    const std::uint64_t all = either(19, 32);
    if (field(510, 2) != 0xaa55 || field(11, 2) != sector_size || cluster_sectors_ == 0 || table_ == 0 ||
        table_sectors == 0 || all > sectors || data_ >= all)
        throw base::Error("FAT: no such file system");
    clusters_ = static_cast<std::uint32_t>((all - data_) / cluster_sectors_);
    bits_ = clusters_ < clusters_of_fat12 ? 12 : clusters_ < clusters_of_fat16 ? 16 : 32;
    root_cluster_ = bits_ == 32 ? field(44, 4) : 0;
    if ((bits_ == 32) != (root_sectors_ == 0) ||
        (static_cast<std::uint64_t>(clusters_) + 2) * bits_ > table_sectors * sector_size * 8)
        throw base::Error("FAT: its numbers contradict each other");
}

std::uint32_t Fat::next(std::uint32_t cluster) const {
    const std::uint64_t bit = static_cast<std::uint64_t>(cluster) * bits_;
    const std::uint64_t byte = bit / 8;
    std::array<std::uint8_t, 2 * sector_size> window{};
    const std::size_t at = byte % sector_size;
    // An entry of twelve bits may lie across two sectors.
    read_(table_ + byte / sector_size, at + (bits_ == 32 ? 4 : 2) > sector_size ? 2 : 1, window.data());
    if (bits_ == 32)
        return number(window.data() + at, 4) & 0x0fffffffU;
    const std::uint32_t value = number(window.data() + at, 2);
    return bits_ == 16 ? value : bit % 8 == 0 ? value & 0xfffU : value >> 4U;
}

std::vector<std::uint64_t> Fat::chain(std::uint32_t first) const {
    const std::uint32_t end = bits_ == 12 ? 0xff8 : bits_ == 16 ? 0xfff8 : 0x0ffffff8;
    std::vector<std::uint64_t> sectors;
    std::uint32_t length = 0;
    for (std::uint32_t cluster = first; cluster < end; cluster = next(cluster)) {
        if (cluster < 2 || cluster - 2 >= clusters_)
            throw base::Error(fmt::format("FAT: a chain leads to cluster {}", cluster));
        if (++length > clusters_ || sectors.size() >= max_file_sectors)
            throw base::Error("FAT: a chain does not end");
        for (std::uint32_t i = 0; i < cluster_sectors_; ++i)
            sectors.push_back(first_sector(cluster) + i);
    }
    return sectors;
}

std::vector<std::uint64_t> Fat::sectors_of(const std::optional<Entry>& directory) const {
    if (directory || bits_ == 32)
        return chain(directory ? directory->cluster : root_cluster_);
    std::vector<std::uint64_t> sectors;
    for (std::uint64_t i = 0; i < root_sectors_; ++i)
        sectors.push_back(root_ + i);
    return sectors;
}

std::vector<Fat::Listed> Fat::list(const std::optional<Entry>& directory) const {
    constexpr std::uint8_t is_label = 0x08; // also of the parts of a long name
    constexpr std::uint8_t is_directory = 0x10;
    constexpr std::uint8_t deleted = 0xe5;
    std::vector<Listed> found;
    std::size_t looked_at = 0;
    for (const std::uint64_t sector : sectors_of(directory)) {
        if (++looked_at > max_directory_sectors)
            throw base::Error("FAT: a directory does not end");
        Sector content{};
        read_(sector, 1, content.data());
        for (std::size_t at = 0; at < sector_size; at += entry_size) {
            const std::uint8_t* entry = content.data() + at;
            if (entry[0] == 0)
                return found;
            if (entry[0] == deleted || entry[0] == '.' || (entry[11] & is_label) != 0)
                continue;
            const std::uint32_t high = bits_ == 32 ? number(entry + 20, 2) << 16U : 0;
            found.push_back({whole_name(entry),
                             {high | number(entry + 26, 2), number(entry + 28, 4), (entry[11] & is_directory) != 0}});
        }
    }
    return found;
}

std::optional<Fat::Entry> Fat::find_in(const std::optional<Entry>& directory, const std::string& name) const {
    for (const Listed& listed : list(directory))
        if (listed.name == name)
            return listed.entry;
    return {};
}

std::optional<Fat::Entry> Fat::find(const std::string& path) const {
    std::optional<Entry> found;
    for (std::size_t start = 0; start <= path.size();) {
        const std::size_t end = std::min(path.find('/', start), path.size());
        if (found && !found->directory)
            return {};
        found = find_in(found, path.substr(start, end - start));
        if (!found)
            return {};
        start = end + 1;
    }
    return found;
}

std::vector<std::uint64_t> Fat::sectors(const Entry& entry) const {
    return entry.cluster == 0 ? std::vector<std::uint64_t>{} : chain(entry.cluster);
}

std::vector<std::uint64_t> Fat::directory_sectors(const std::string& path) const {
    return sectors_of(path.empty() ? std::nullopt : find(path));
}

std::string Fat::contradiction(const std::string& unfinished) const {
    std::set<std::uint64_t> taken;
    std::optional<Entry> half;
    std::vector<std::pair<std::string, std::optional<Entry>>> directories{{"", std::nullopt}};
    try {
        for (std::size_t i = 0; i < directories.size(); ++i) {
            const auto [path, directory] = directories[i];
            for (const Listed& listed : list(directory)) {
                const std::string name = (path.empty() ? "" : path + "/") + listed.name;
                if (name == unfinished) {
                    half = listed.entry;
                    continue;
                }
                const std::vector<std::uint64_t> places = sectors(listed.entry);
                for (const std::uint64_t place : places)
                    if (!taken.insert(place).second)
                        return fmt::format("FAT: {} has a cluster of another file", name);
                const std::uint64_t room = places.size() * sector_size;
                const std::uint64_t cluster = static_cast<std::uint64_t>(cluster_sectors_) * sector_size;
                if (listed.entry.directory)
                    directories.emplace_back(name, listed.entry);
                else if (listed.entry.size > room || room - listed.entry.size >= cluster)
                    return fmt::format("FAT: {} has {} bytes, and room for {}", name, listed.entry.size, room);
            }
        }
    } catch (const base::Error& error) {
        return error.what();
    }
    return half && shares(*half, taken) ? fmt::format("FAT: {} has a cluster of another file", unfinished)
                                        : std::string();
}

/// As far as the chain leads.
bool Fat::shares(const Entry& file, const std::set<std::uint64_t>& taken) const {
    std::uint32_t length = 0;
    for (std::uint32_t cluster = file.cluster; cluster >= 2 && cluster - 2 < clusters_ && ++length <= clusters_;
         cluster = next(cluster))
        if (taken.contains(first_sector(cluster)))
            return true;
    return false;
}

std::string Fat::read(const Entry& file, std::size_t limit) const {
    if (file.size > limit)
        throw base::Error(fmt::format("FAT: a file of {} bytes", file.size));
    const std::vector<std::uint64_t> places = sectors(file);
    if (file.size > places.size() * sector_size)
        throw base::Error("FAT: a file ends before its size");
    std::string content;
    content.reserve(file.size + sector_size);
    for (const std::uint64_t place : places) {
        if (content.size() >= file.size)
            break;
        Sector sector{};
        read_(place, 1, sector.data());
        content.append(reinterpret_cast<const char*>(sector.data()), sector.size());
    }
    content.resize(file.size);
    return content;
}

} // namespace crash
