#include "mounts.hpp"

#include <boost/test/unit_test.hpp>

#include "base/files.hpp"
#include "cgroups.hpp"

BOOST_AUTO_TEST_SUITE(mounts)

BOOST_AUTO_TEST_CASE(mount_points_are_unescaped) {
    init::Path path;
    BOOST_REQUIRE(
        init::parse_mount_point("36 35 98:0 /mnt1 /mnt/with\\040blank\\134x rw,noatime - ext3 /dev/root rw", path));
    BOOST_TEST(path.view() == "/mnt/with blank\\x");
    BOOST_REQUIRE(init::parse_mount_point("1 1 0:1 / /", path));
    BOOST_TEST(path.view() == "/");
}

BOOST_AUTO_TEST_CASE(odd_lines) {
    init::Path path;
    for (const char* line : {"", "1", "1 2 3 4", "1 2 3 4 relative rw", "    "})
        BOOST_TEST(!init::parse_mount_point(line, path), line);
    // An escape that is cut off or is none stays as it is.
    BOOST_REQUIRE(init::parse_mount_point("1 2 3 4 /a\\04 x", path));
    BOOST_TEST(path.view() == "/a\\04");
    BOOST_REQUIRE(init::parse_mount_point("1 2 3 4 /a\\999 x", path));
    BOOST_TEST(path.view() == "/a\\999");
    BOOST_TEST(!init::parse_mount_point("1 2 3 4 /" + std::string(5000, 'x') + " y", path));
}

BOOST_AUTO_TEST_CASE(mount_points_are_recognised) {
    BOOST_TEST(init::is_mount_point("/proc"));
    BOOST_TEST(init::is_mount_point("/"));
    BOOST_TEST(!init::is_mount_point("/proc/self"));
    BOOST_TEST(!init::is_mount_point("/nowhere"));
    const base::TempDir directory;
    BOOST_TEST(!init::is_mount_point(directory.path().c_str()));
}

BOOST_AUTO_TEST_CASE(protected_memory_is_bounded) {
    constexpr std::uint64_t mib = 1024 * 1024;
    BOOST_TEST(init::protected_memory(256 * mib) == 64 * mib);
    BOOST_TEST(init::protected_memory(4096 * mib) == 192 * mib);
}

BOOST_AUTO_TEST_SUITE_END()
