#include "superblock.hpp"

#include <boost/test/unit_test.hpp>

#include <fstream>
#include <vector>

#include "base/files.hpp"
#include "base/process.hpp"

using init::FileSystem;
using init::Superblock;

namespace {

std::vector<std::uint8_t> read_start(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<std::uint8_t> bytes(Superblock::size);
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    bytes.resize(static_cast<std::size_t>(file.gcount()));
    return bytes;
}

void put(std::vector<std::uint8_t>& bytes, std::size_t offset, std::string_view text) {
    std::copy(text.begin(), text.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
}

} // namespace

BOOST_AUTO_TEST_SUITE(superblock)

// The real maker of the file system decides, not our idea of its layout.
BOOST_AUTO_TEST_CASE(ext4_as_mke2fs_makes_it) {
    const base::TempDir directory;
    const std::string image = directory / "image";
    base::run_checked({"truncate", "-s", "4M", image});
    base::run_checked(
        {"mke2fs", "-q", "-t", "ext4", "-L", "atoll-root", "-U", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", image});
    const Superblock found = Superblock::parse(read_start(image));
    BOOST_TEST((found.type == FileSystem::ext4));
    BOOST_TEST(found.label.view() == "atoll-root");
    BOOST_TEST(found.uuid.view() == "f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
}

BOOST_AUTO_TEST_CASE(vfat_as_mtools_makes_it) {
    const base::TempDir directory;
    for (const bool fat32 : {false, true}) {
        const std::string image = directory / (fat32 ? "fat32" : "fat16");
        base::run_checked({"truncate", "-s", fat32 ? "64M" : "16M", image});
        std::vector<std::string> command = {"mformat", "-i", image, "-v", "ATOLL-CONF", "-N", "12345678"};
        if (fat32)
            command.emplace_back("-F");
        command.emplace_back("::");
        base::run_checked(command);
        const Superblock found = Superblock::parse(read_start(image));
        BOOST_TEST((found.type == FileSystem::vfat));
        BOOST_TEST(found.label.view() == "ATOLL-CONF");
        BOOST_TEST(found.uuid.view() == "1234-5678");
    }
}

BOOST_AUTO_TEST_CASE(iso9660) {
    std::vector<std::uint8_t> bytes(Superblock::size);
    put(bytes, 32768, std::string_view("\1CD001\1", 7));
    put(bytes, 32768 + 40, "ATOLL-CONF                      ");
    const Superblock found = Superblock::parse(bytes);
    BOOST_TEST((found.type == FileSystem::iso9660));
    BOOST_TEST(found.label.view() == "ATOLL-CONF");
}

BOOST_AUTO_TEST_CASE(labels_of_strangers_are_made_harmless) {
    std::vector<std::uint8_t> bytes(2048);
    put(bytes, 1024 + 0x38, "\x53\xef");
    put(bytes, 1024 + 0x78, "a\x1b]b\n\xff 45678901234"); // 16 bytes, no NUL
    const Superblock found = Superblock::parse(bytes);
    BOOST_TEST((found.type == FileSystem::ext4));
    BOOST_TEST(found.label.view() == "a?]b?? 456789012");
}

BOOST_AUTO_TEST_CASE(short_and_empty_devices_hold_nothing) {
    for (const std::size_t size : {0, 1, 511, 512, 1024, 2047, 36 * 1024}) {
        const Superblock found = Superblock::parse(std::vector<std::uint8_t>(size));
        BOOST_TEST((found.type == FileSystem::none));
    }
    // An ext4 superblock that is cut off.
    std::vector<std::uint8_t> bytes(2047);
    put(bytes, 1024 + 0x38, "\x53\xef");
    BOOST_TEST((Superblock::parse(bytes).type == FileSystem::none));
}

BOOST_AUTO_TEST_CASE(gpt_as_sgdisk_makes_it) {
    const base::TempDir directory;
    const std::string image = directory / "disk";
    base::run_checked({"truncate", "-s", "8M", image});
    base::run_checked({"sgdisk", "-n", "2:2048:4095", "-u", "2:C12A7328-F81F-11D2-BA4B-00A0C93EC93B", image});
    const std::vector<std::uint8_t> bytes = read_start(image);
    init::GptHeader header;
    BOOST_REQUIRE(init::parse_gpt_header(std::span(bytes).subspan(512, 512), header));
    BOOST_TEST(header.entries_lba == 2U);
    BOOST_TEST(header.entry_size == 128U);
    BOOST_TEST(header.entry_count == 128U);
    init::Text<40> guid;
    BOOST_REQUIRE(init::parse_gpt_guid(std::span(bytes).subspan(1024 + 128, 128), guid));
    BOOST_TEST(guid.view() == "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    BOOST_TEST(!init::parse_gpt_guid(std::span(bytes).subspan(1024, 128), guid)); // partition 1 does not exist
}

BOOST_AUTO_TEST_CASE(gpt_headers_with_absurd_numbers_are_refused) {
    std::vector<std::uint8_t> bytes(512);
    init::GptHeader header;
    BOOST_TEST(!init::parse_gpt_header(bytes, header));
    put(bytes, 0, "EFI PART");
    bytes[72] = 2;
    bytes[80] = 128;
    bytes[84] = 128;
    BOOST_TEST(init::parse_gpt_header(bytes, header));
    bytes[83] = 0xff; // 4 billion entries
    BOOST_TEST(!init::parse_gpt_header(bytes, header));
    bytes[83] = 0;
    bytes[84] = 16; // too small to hold a GUID
    BOOST_TEST(!init::parse_gpt_header(bytes, header));
}

BOOST_AUTO_TEST_SUITE_END()
