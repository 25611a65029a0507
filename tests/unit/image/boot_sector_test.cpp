#include <boost/test/unit_test.hpp>

#include "image/boot_sector.hpp"
#include "test_files.hpp"

BOOST_AUTO_TEST_SUITE(boot_sector)

BOOST_AUTO_TEST_CASE(boot_image_keeps_the_partition_table_and_points_to_core) {
    std::string boot(512, 'B');
    boot.replace(0x1fe, 2, "\x55\xaa");
    std::string mbr(512, 'M');
    mbr.replace(0x1fe, 2, "\x55\xaa");
    const std::string result = image::patch_boot_image(boot, mbr, 0x0807060504030201);
    BOOST_TEST(result.size() == 512U);
    BOOST_TEST(result.substr(0, 0x5c) == std::string(0x5c, 'B'));
    BOOST_TEST(result.substr(0x5c, 8) == "\x01\x02\x03\x04\x05\x06\x07\x08");
    BOOST_TEST(result.substr(0x64, 2) == "BB");
    BOOST_TEST(result.substr(0x66, 2) == "\x90\x90");
    BOOST_TEST(result.substr(0x68, 0x1b8 - 0x68) == std::string(0x1b8 - 0x68, 'B'));
    BOOST_TEST(result.substr(0x1b8, 0x1fe - 0x1b8) == std::string(0x1fe - 0x1b8, 'M'));
    BOOST_TEST(result.substr(0x1fe) == "\x55\xaa");
}

BOOST_AUTO_TEST_CASE(what_is_no_boot_image_is_refused) {
    const std::string mbr(512, 'M');
    BOOST_CHECK_THROW(image::patch_boot_image(std::string(512, 'B'), mbr, 1), base::Error);
    BOOST_CHECK_THROW(image::patch_boot_image("", mbr, 1), base::Error);
    std::string boot(512, 'B');
    boot.replace(0x1fe, 2, "\x55\xaa");
    BOOST_CHECK_THROW(image::patch_boot_image(boot, "short", 1), base::Error);
}

BOOST_AUTO_TEST_CASE(core_image_says_where_its_second_sector_is) {
    const std::string result = image::patch_core_image(std::string(1500, 'C'), 2048);
    BOOST_TEST(result.size() == 1536U);
    BOOST_TEST(result.substr(0x1f4, 8) == std::string("\x01\x08\0\0\0\0\0\0", 8)); // 2049
    BOOST_TEST(result.substr(0, 0x1f4) == std::string(0x1f4, 'C'));
    BOOST_TEST(result.substr(1500) == std::string(36, '\0'));
    BOOST_CHECK_THROW(image::patch_core_image(std::string(512, 'C'), 2048), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
