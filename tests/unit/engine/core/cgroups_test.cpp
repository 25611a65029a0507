#include "core/cgroups.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(cgroups)

BOOST_AUTO_TEST_CASE(the_unified_mount_is_found) {
    const std::string text = "24 1 0:22 / /proc rw - proc proc rw\n"
                             "30 24 0:26 / /sys/fs/cgroup/memory rw shared:5 - cgroup cgroup rw,memory\n"
                             "31 24 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:6 master:2 - cgroup2 cgroup2 rw\n";
    BOOST_TEST(engine::find_cgroup2_mount(text).value() == "/sys/fs/cgroup/unified");
}

BOOST_AUTO_TEST_CASE(version_one_alone_is_none) {
    BOOST_TEST(
        !engine::find_cgroup2_mount("30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n").has_value());
    BOOST_TEST(!engine::find_cgroup2_mount("").has_value());
    BOOST_TEST(!engine::find_cgroup2_mount(" - cgroup2 x\n").has_value());
}

BOOST_AUTO_TEST_CASE(without_cgroups_there_are_no_paths) {
    const engine::Cgroups none("none");
    BOOST_TEST(!none.enabled());
    BOOST_TEST(none.container_path("network", "id") == "");
    BOOST_TEST(none.directory("/x") == "");
}

BOOST_AUTO_TEST_SUITE_END()
