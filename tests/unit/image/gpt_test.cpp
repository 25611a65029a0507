#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "base/files.hpp"
#include "base/process.hpp"
#include "image/gpt.hpp"
#include "test_files.hpp"

using image::Partition;

namespace {

constexpr std::uint64_t disk_sectors = 2048 * 64;

std::vector<Partition> partitions() {
    return {{image::parse_guid(image::bios_boot_partition_type), image::derived_guid("a"), "bios-boot", 2048, 2048},
            {image::parse_guid(image::linux_filesystem_type), image::derived_guid("b"), "atoll-root", 4096, 65536}};
}

std::string with(std::uint64_t first, std::uint64_t sectors) {
    auto list = partitions();
    list[1].first_lba = first;
    list[1].sectors = sectors;
    return message_of([&] { image::make_partition_table(disk_sectors, image::derived_guid("d"), list); });
}

} // namespace

BOOST_AUTO_TEST_SUITE(gpt)

BOOST_AUTO_TEST_CASE(crc_is_the_known_one) {
    BOOST_TEST(image::crc32("123456789") == 0xcbf43926U);
    BOOST_TEST(image::crc32("") == 0U);
}

BOOST_AUTO_TEST_CASE(guids_are_mixed_endian_on_disk) {
    const image::Guid guid = image::parse_guid("00112233-4455-6677-8899-aabbccddeeff");
    BOOST_TEST(guid[0] == 0x33);
    BOOST_TEST(guid[3] == 0x00);
    BOOST_TEST(guid[4] == 0x55);
    BOOST_TEST(guid[8] == 0x88);
    BOOST_TEST(guid[15] == 0xff);
    BOOST_TEST(image::format_guid(guid) == "00112233-4455-6677-8899-aabbccddeeff");
    for (const char* bad : {"", "00112233-4455-6677-8899-aabbccddeef", "00112233-4455-6677-8899-aabbccddeeff0",
                            "001122334455-6677-8899-aabbccddeeff-", "g0112233-4455-6677-8899-aabbccddeeff"})
        BOOST_CHECK_THROW(image::parse_guid(bad), base::Error);
}

BOOST_AUTO_TEST_CASE(derived_guids_are_version_4_and_depend_on_the_seed) {
    const std::string text = image::format_guid(image::derived_guid("seed"));
    BOOST_TEST(text[14] == '4');
    BOOST_TEST(std::string("89ab").find(text[19]) != std::string::npos);
    BOOST_TEST(text == image::format_guid(image::derived_guid("seed")));
    BOOST_TEST(text != image::format_guid(image::derived_guid("sead")));
}

BOOST_AUTO_TEST_CASE(sgdisk_accepts_the_table) {
    const base::TempDir directory;
    const std::string path = directory / "disk";
    const image::PartitionTable table =
        image::make_partition_table(disk_sectors, image::derived_guid("d"), partitions());
    {
        const base::UniqueFd fd = base::open_file(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        BOOST_REQUIRE(::ftruncate(fd.get(), disk_sectors * 512) == 0);
        base::write_all_at(fd.get(), table.head, 0, path);
        base::write_all_at(fd.get(), table.tail, static_cast<off_t>(disk_sectors * 512 - table.tail.size()), path);
    }
    const std::string verdict = base::run_checked({"sgdisk", "--verify", path});
    BOOST_TEST(verdict.find("No problems found") != std::string::npos, verdict);
    const std::string second = base::run_checked({"sgdisk", "--info=2", path});
    BOOST_TEST(second.find("atoll-root") != std::string::npos, second);
    BOOST_TEST(second.find("First sector: 4096") != std::string::npos, second);
    BOOST_TEST(second.find("Last sector: 69631") != std::string::npos, second);
    BOOST_TEST(second.find("Linux filesystem") != std::string::npos, second);
    const std::string first = base::run_checked({"sgdisk", "--info=1", path});
    BOOST_TEST(first.find("BIOS boot partition") != std::string::npos, first);
}

BOOST_AUTO_TEST_CASE(partitions_that_do_not_fit_are_refused) {
    BOOST_TEST(with(4096, 65536).empty());
    BOOST_TEST(with(4095, 100).find("atoll-root") != std::string::npos); // overlaps
    BOOST_TEST(with(4096, 0).find("empty") != std::string::npos);
    BOOST_TEST(with(4096, disk_sectors).find("does not fit") != std::string::npos);
    BOOST_TEST(with(4096, disk_sectors - 33 - 4096).empty());
    BOOST_TEST(with(4096, disk_sectors - 32 - 4096).find("does not fit") != std::string::npos);
    BOOST_TEST(with(UINT64_MAX, 2).find("does not fit") != std::string::npos);
    BOOST_TEST(with(4096, UINT64_MAX).find("does not fit") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
