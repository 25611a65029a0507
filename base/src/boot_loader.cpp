#include "base/boot_loader.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/sha256.hpp"

namespace base {
namespace {

constexpr std::size_t core_pointer = 0x5c;    // boot.img: u64, sector of core.img
constexpr std::size_t drive_jump = 0x66;      // boot.img: jump over "take the drive that is built in"
constexpr std::size_t disk_signature = 0x1b8; // MBR: signature and partition entries up to ...
constexpr std::size_t boot_signature = 0x1fe; // ... 55 aa
constexpr std::size_t block_list = 0x1f4;     // diskboot.img: u64 start, u16 sectors, u16 segment
constexpr std::size_t block_list_count = 0x1fc;
constexpr std::size_t second_block_list = 0x1e8; // it grows downwards; empty: only one

constexpr std::size_t max_files = 32;
constexpr std::size_t max_name = 80;

void put_u64(std::string& bytes, std::size_t offset, std::uint64_t value) {
    for (std::size_t i = 0; i < 8; ++i)
        bytes[offset + i] = static_cast<char>(value >> (8 * i));
}

std::uint64_t get(std::string_view bytes, std::size_t offset, std::size_t width) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = width; i-- > 0;)
        value = value << 8U | static_cast<unsigned char>(bytes[offset + i]);
    return value;
}

bool is_id_character(char c) noexcept {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '+' ||
           c == '~' || c == '-';
}

/// "grub.cfg", "i386-pc/linux.mod": one directory at most.
bool is_loader_path(std::string_view path) noexcept {
    const std::size_t slash = path.find('/');
    const auto is_name = [](std::string_view name) {
        return !name.empty() && name.size() <= max_name && name[0] != '.' &&
               std::all_of(name.begin(), name.end(), [](char c) { return is_id_character(c) || c == '_'; });
    };
    if (path == BootLoaderManifest::file_name)
        return false;
    return slash == std::string_view::npos ? is_name(path)
                                           : is_name(path.substr(0, slash)) && is_name(path.substr(slash + 1));
}

std::string digest(const JsonObject& object, std::string_view key) {
    std::string text = object.required_string(key);
    if (!is_sha256_hex(text))
        throw Error(fmt::format("{}: {}: not a SHA-256 digest", object.name(), key));
    return text;
}

} // namespace

bool is_boot_loader_id(std::string_view text) noexcept {
    return !text.empty() && text.size() <= max_name && text[0] != '.' &&
           std::all_of(text.begin(), text.end(), is_id_character);
}

BootLoaderManifest BootLoaderManifest::parse(std::string_view text, const std::string& name) {
    const json::value document = parse_json(text, name);
    const JsonObject object(document, name);
    if (object.integer("format") != 1)
        throw Error(name + ": of a format that is not known here");
    BootLoaderManifest manifest{.id = object.required_string("id"),
                                .version = object.required_string("version"),
                                .boot = digest(object, "boot"),
                                .core = digest(object, "core"),
                                .efi = digest(object, "efi"),
                                .files = {}};
    if (!is_boot_loader_id(manifest.id) || !is_boot_loader_id(manifest.version))
        throw Error(name + ": id or version: not letters, digits and .+~-");
    const std::optional<JsonObject> files = object.object("files");
    if (!files || files->raw().empty() || files->raw().size() > max_files)
        throw Error(fmt::format("{}: files: expected 1 to {}", name, max_files));
    for (const auto& member : files->raw()) {
        const std::string path(member.key());
        if (!is_loader_path(path))
            throw Error(name + ": files: not the name of a boot loader's file");
        manifest.files[path] = digest(*files, path);
    }
    return manifest;
}

std::string BootLoaderManifest::serialize() const {
    json::object digests;
    for (const auto& [path, value] : files)
        digests[path] = value;
    return json::serialize(json::object{{"format", 1},
                                        {"id", id},
                                        {"version", version},
                                        {"boot", boot},
                                        {"core", core},
                                        {"efi", efi},
                                        {"files", std::move(digests)}}) +
           "\n";
}

EfiPrefix efi_prefix(std::string_view image) {
    const std::size_t at = image.find(grub_prefix);
    if (at == std::string_view::npos)
        return {};
    std::string_view rest = image.substr(at + grub_prefix.size(), max_name + 2);
    rest = rest.substr(0, std::min(rest.find('\0'), rest.size()));
    if (rest.empty())
        return {true, {}};
    if (rest[0] != '/' || !is_boot_loader_id(rest.substr(1)))
        return {};
    return {true, std::string(rest.substr(1))};
}

std::string patch_boot_image(std::string boot_image, const std::string& mbr, std::uint64_t core_lba) {
    if (boot_image.size() != sector_size || boot_image.compare(boot_signature, 2, "\x55\xaa") != 0)
        throw Error("GRUB's boot.img: not a boot sector of 512 bytes");
    if (mbr.size() != sector_size)
        throw Error("partition table: first sector has " + std::to_string(mbr.size()) + " bytes");
    put_u64(boot_image, core_pointer, core_lba);
    boot_image.replace(drive_jump, 2, "\x90\x90");
    boot_image.replace(disk_signature, sector_size - disk_signature, mbr, disk_signature, sector_size - disk_signature);
    return boot_image;
}

std::string neutral_boot_image(std::string sector) {
    std::string no_disk(sector_size, '\0');
    no_disk.replace(boot_signature, 2, "\x55\xaa");
    return patch_boot_image(std::move(sector), no_disk, 0);
}

std::uint64_t core_place(std::string_view boot_sector) {
    if (boot_sector.size() != sector_size)
        throw Error("boot sector: " + std::to_string(boot_sector.size()) + " bytes");
    return get(boot_sector, core_pointer, 8);
}

std::string patch_core_image(std::string core_image, std::uint64_t core_lba) {
    if (core_image.size() < 2 * sector_size)
        throw Error("GRUB's core image: only " + std::to_string(core_image.size()) + " bytes");
    put_u64(core_image, block_list, core_lba + 1);
    core_image.resize((core_image.size() + sector_size - 1) / sector_size * sector_size, '\0');
    return core_image;
}

std::string neutral_core_image(std::string core_image) {
    return patch_core_image(std::move(core_image), ~std::uint64_t{0}); // the rest would be at sector 0
}

std::uint64_t core_sectors(std::string_view first_sector, std::uint64_t core_lba) noexcept {
    if (first_sector.size() < sector_size || get(first_sector, block_list, 8) != core_lba + 1 ||
        get(first_sector, second_block_list + 8, 2) != 0)
        return 0;
    const std::uint64_t rest = get(first_sector, block_list_count, 2);
    return rest == 0 ? 0 : rest + 1;
}

} // namespace base
