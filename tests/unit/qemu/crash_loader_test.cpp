// What firmware would start from a disk: a FAT file system of mtools' read by ours, and damaged in every way that a
// power cut or somebody hostile can leave it in; boot sector and core image beside it.
#include <boost/test/unit_test.hpp>

#include <cstring>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "base/sha256.hpp"
#include "crash/loader_view.hpp"

namespace {

using crash::Fat;

constexpr std::size_t sector = crash::sector_size;

std::string random_text(std::size_t size) {
    std::string text(size, '\0');
    std::uint32_t state = 1;
    for (char& c : text)
        c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24U);
    return text;
}

struct EspImage {
    base::TempDir directory{"fat-test"};
    std::string image;                         ///< bytes
    std::string content = random_text(40'000); ///< of the EFI image
    std::string path = directory / "esp";

    void make(const std::vector<std::string>& options, const std::string& size) {
        base::run_checked({"truncate", "-s", size, path});
        std::vector<std::string> argv{"mformat", "-i", path};
        argv.insert(argv.end(), options.begin(), options.end());
        argv.emplace_back("::");
        mtools(argv);
        mtools({"mmd", "-i", path, "::/EFI", "::/EFI/BOOT", "::/EFI/OTHER"});
        put("EFI/OTHER/READ.ME", "read me\n");
        put(crash::efi_image, content);
        image = base::read_file(path, 64UL << 20U);
    }
    void put(const std::string& name, const std::string& text) const {
        base::write_durable(directory / "file", text);
        mtools({"mcopy", "-o", "-i", path, directory / "file", "::/" + name});
    }
    static void mtools(const std::vector<std::string>& argv) {
        base::run_checked(argv, {.spawn = {.environment = {"MTOOLS_SKIP_CHECK=1"}}});
    }
    Fat open() const {
        return {[this](std::uint64_t first, std::uint64_t count, std::uint8_t* into) {
                    if ((first + count) * sector > image.size())
                        throw base::Error("beyond the end");
                    std::memcpy(into, image.data() + first * sector, count * sector);
                },
                image.size() / sector};
    }
    /// Where the directory entry of a name like "BOOTX64 EFI" is.
    std::size_t entry(const std::string& name) const {
        const std::size_t at = image.find(name);
        BOOST_TEST_REQUIRE(at != std::string::npos);
        return at;
    }
    std::size_t first_cluster(const std::string& name) const {
        const auto* bytes = reinterpret_cast<const unsigned char*>(image.data()) + entry(name) + 26;
        return bytes[0] + 256U * bytes[1];
    }
    void set_16(std::size_t at, std::size_t value) {
        image[at] = static_cast<char>(value);
        image[at + 1] = static_cast<char>(value >> 8U);
    }
    /// In the first table of a FAT16.
    std::size_t in_table(std::size_t cluster) const { return open().table() * sector + 2 * cluster; }
};

struct Fat16 : EspImage {
    Fat16() { make({"-c", "1", "-h", "16", "-s", "63", "-t", "32"}, "16M"); }
};

} // namespace

BOOST_AUTO_TEST_SUITE(crash_fat)

BOOST_AUTO_TEST_CASE(every_width_of_table_is_read) {
    const std::vector<std::pair<std::vector<std::string>, std::string>> sorts{
        {{"-f", "1440"}, "1440K"},                                // 12 bits
        {{"-c", "1", "-h", "16", "-s", "63", "-t", "32"}, "16M"}, // 16
        {{"-F", "-c", "1", "-h", "64", "-s", "32", "-t", "36"}, "36M"}};
    for (const auto& [options, size] : sorts) {
        EspImage esp;
        esp.make(options, size);
        const Fat fat = esp.open();
        const std::optional<Fat::Entry> found = fat.find(crash::efi_image);
        BOOST_TEST_REQUIRE(found.has_value(), size);
        BOOST_TEST(found->size == esp.content.size());
        BOOST_TEST((fat.read(*found, 1U << 20U) == esp.content));
        BOOST_TEST(fat.contradiction() == "");
        BOOST_TEST(!fat.find("EFI/BOOT/OTHER.EFI"));
        BOOST_TEST(!fat.find("EFI/BOOT/BOOTX64.EFI/X"));
        BOOST_TEST(!fat.find(""));
        BOOST_CHECK_THROW(fat.read(*found, 100), base::Error);
    }
}

BOOST_AUTO_TEST_CASE(what_is_no_file_system_is_refused) {
    Fat16 esp;
    const std::string whole = esp.image;
    for (const auto& [at, value] : std::vector<std::pair<std::size_t, std::size_t>>{
             {510, 0}, {11, 1024}, {13, 0}, {14, 0}, {17, 0}, {19, 0xffff}, {22, 1}}) {
        esp.image = whole;
        esp.set_16(at, value);
        if (at == 19)
            esp.image.resize(sector * 1000);
        BOOST_CHECK_THROW(esp.open(), base::Error);
    }
    esp.image.clear();
    BOOST_CHECK_THROW(esp.open(), base::Error);
}

BOOST_FIXTURE_TEST_CASE(a_chain_that_leads_astray, Fat16) {
    const std::size_t first = first_cluster("BOOTX64 EFI");
    for (const std::size_t next : {std::size_t{0}, std::size_t{1}, std::size_t{0xfff0}, first}) {
        set_16(in_table(first), next);
        const Fat fat = open();
        BOOST_CHECK_THROW(fat.read(fat.find(crash::efi_image).value(), 1U << 20U), base::Error);
        BOOST_TEST(fat.contradiction() != "");
    }
    set_16(in_table(first), 0xffff); // it ends too early
    BOOST_CHECK_THROW(open().read(open().find(crash::efi_image).value(), 1U << 20U), base::Error);
    BOOST_TEST(open().contradiction().find("BOOTX64.EFI has 40000 bytes") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(two_files_in_one_cluster, Fat16) {
    set_16(entry("READ    ME ") + 26, first_cluster("BOOTX64 EFI") + 2);
    BOOST_TEST(open().contradiction().find("cluster of another") != std::string::npos);
    BOOST_TEST(open().contradiction("EFI/OTHER/READ.ME").find("cluster of another") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_directory_that_is_in_itself, Fat16) {
    set_16(entry("OTHER      ") + 26, first_cluster("EFI        "));
    BOOST_TEST(open().contradiction() != "");
    BOOST_TEST((open().read(open().find(crash::efi_image).value(), 1U << 20U) == content));
}

BOOST_FIXTURE_TEST_CASE(what_is_half_written_may_be_so_by_itself, Fat16) {
    put("EFI/BOOT/NEWX64.EFI", std::string(9000, 'n'));
    image = base::read_file(path, 64UL << 20U);
    BOOST_TEST(open().contradiction() == "");
    set_16(in_table(first_cluster("NEWX64  EFI")), 0);
    BOOST_TEST(open().contradiction() != "");
    BOOST_TEST(open().contradiction("EFI/BOOT/NEWX64.EFI") == "");
    set_16(entry("NEWX64  EFI") + 26, first_cluster("BOOTX64 EFI"));
    BOOST_TEST(open().contradiction("EFI/BOOT/NEWX64.EFI") != "");
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

/// A disk with what the checker looks at: boot sector, BIOS boot partition, ESP.
struct LoaderDisk : Fat16 {
    static constexpr std::uint64_t area = 64;
    static constexpr std::uint64_t half = 32;
    std::string bytes;
    std::vector<crash::Extent> extents{{"bios-boot", area, 2 * half}, {"atoll-esp", 256, 0}};
    crash::Manifests manifests;
    std::string boot_image = std::string(sector, 'B');

    static std::string core(char letter, std::uint64_t place) {
        std::string text(4 * sector, letter);
        text.replace(0x1e8, 24, std::string(24, '\0'));
        text[0x1fc] = 3; // sectors that follow
        return base::patch_core_image(text, place);
    }
    LoaderDisk() {
        boot_image.replace(0x1fe, 2, "\x55\xaa");
        extents[1].sectors = image.size() / sector;
        for (const char letter : {'o', 'n'}) {
            base::BootLoaderManifest& manifest = manifests[std::string(1, letter)];
            manifest.id = std::string(1, letter);
            manifest.boot = base::sha256_hex(base::neutral_boot_image(boot_image));
            manifest.core = base::sha256_hex(base::neutral_core_image(core(letter, area)));
            manifest.efi = base::sha256_hex(letter == 'o' ? content : "the new one");
        }
        std::string mbr(sector, 'M');
        mbr.replace(0x1fe, 2, "\x55\xaa");
        bytes = base::patch_boot_image(boot_image, mbr, area);
        bytes.resize(extents[1].first * sector);
        bytes.replace(area * sector, 4 * sector, core('o', area));
        bytes.replace((area + half) * sector, 4 * sector, core('n', area + half));
        bytes += image;
    }
    crash::Disk disk() const { return {{reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, extents}; }
};

void change(crash::Disk& disk, std::uint64_t number, std::size_t at, const std::string& text) {
    std::string content(sector, '\0');
    disk.read(number, 1, reinterpret_cast<std::uint8_t*>(content.data()));
    content.replace(at, text.size(), text);
    disk.write(number, disk.contents().number_copy(reinterpret_cast<const std::uint8_t*>(content.data())));
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(crash_loader, LoaderDisk)

BOOST_AUTO_TEST_CASE(the_old_and_the_new_one_and_nothing_else) {
    crash::Disk disk = this->disk();
    crash::LoaderChecker checker(disk);
    BOOST_TEST(checker.by_bios().damage != ""); // nothing is allowed yet
    checker.allow_present(manifests);
    BOOST_TEST(checker.by_bios().id == "o");
    BOOST_TEST(checker.by_uefi().id == "o");
    BOOST_TEST(checker.allowed().size() == 1U);
    // The other place, whole, which nobody said could be started.
    const std::string other("\x60\0\0\0\0\0\0\0", 8);
    change(disk, 0, 0x5c, other);
    BOOST_TEST(checker.by_bios().damage.find("neither") != std::string::npos);
    checker.allow_present(manifests);
    BOOST_TEST(checker.by_bios().id == "n");
    change(disk, area + half + 2, 0, "?");
    BOOST_TEST(checker.by_bios().damage.find("neither") != std::string::npos);
    checker.forget_allowed();
    BOOST_TEST(checker.by_uefi().damage != "");
}

BOOST_AUTO_TEST_CASE(a_boot_sector_that_leads_elsewhere) {
    crash::Disk disk = this->disk();
    crash::LoaderChecker checker(disk);
    checker.allow_present(manifests);
    const std::size_t mark = disk.mark();
    const std::vector<std::pair<std::size_t, std::string>> changes{{0x5c, std::string("\x41", 1)}, // beside its place
                                                                   {0x5c, std::string(8, '\xff')}, // beyond the disk
                                                                   {0x10, "other code"},
                                                                   {0x1c0, "other partitions"},
                                                                   {0x1fe, std::string(2, '\0')}};
    for (const auto& [at, text] : changes) {
        change(disk, 0, at, text);
        BOOST_TEST(checker.by_bios().damage != "", at);
        disk.take_back(mark);
    }
    change(disk, area, 0x1fc, "\xff"); // a core image that reaches into the other place
    BOOST_TEST(checker.by_bios().damage != "");
    disk.take_back(mark);
    BOOST_TEST(checker.by_bios().damage == "");
    BOOST_TEST(checker.by_uefi().damage == "");
}

BOOST_AUTO_TEST_CASE(an_update_that_was_cut_off) {
    put("EFI/BOOT/NEWX64.EFI", std::string(9000, 'n'));
    image = base::read_file(path);
    set_16(in_table(first_cluster("NEWX64  EFI")), 0);
    bytes.replace(extents[1].first * sector, image.size(), image);
    crash::Disk disk = this->disk();
    crash::LoaderChecker checker(disk);
    checker.allow_present(manifests);
    BOOST_TEST(checker.by_uefi().id == "o");
    BOOST_TEST(checker.esp_damage() == "");
    BOOST_TEST(checker.is_half_written());
    change(disk, extents[1].first + entry("NEWX64  EFI") / sector, entry("NEWX64  EFI") % sector, "\xe5"); // deleted
    BOOST_TEST(!checker.is_half_written());
}

BOOST_AUTO_TEST_CASE(an_esp_that_is_damaged) {
    crash::Disk disk = this->disk();
    crash::LoaderChecker checker(disk);
    checker.allow_present(manifests);
    const std::size_t mark = disk.mark();
    const std::uint64_t esp = extents[1].first;
    change(disk, esp, 510, std::string(2, '\0'));
    BOOST_TEST(checker.by_uefi().damage != "");
    disk.take_back(mark);
    change(disk, esp + entry("BOOTX64 EFI") / sector, entry("BOOTX64 EFI") % sector, "X");
    BOOST_TEST(checker.by_uefi().damage.find("no EFI") != std::string::npos);
    disk.take_back(mark);
    change(disk, esp + open().sectors(open().find(crash::efi_image).value()).at(7), 0, "????");
    BOOST_TEST(checker.by_uefi().damage.find("neither") != std::string::npos);
    disk.take_back(mark);
    const std::size_t table = in_table(first_cluster("READ    ME "));
    change(disk, esp + table / sector, table % sector, std::string(2, '\0'));
    BOOST_TEST(checker.by_uefi().damage == "");
    BOOST_TEST(checker.esp_damage() != "");
}

BOOST_AUTO_TEST_SUITE_END()
