#include "modules.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(modules)

namespace {

constexpr std::string_view dependencies = "kernel/net/bridge/bridge.ko: kernel/net/802/stp.ko kernel/net/llc/llc.ko\n"
                                          "kernel/net/bridge/br_netfilter.ko: kernel/net/bridge/bridge.ko\n"
                                          "kernel/drivers/block/virtio-blk.ko:\n"
                                          "garbage without a colon\n"
                                          "/etc/evil.ko:\n"
                                          "kernel/../../evil2.ko:\n"
                                          "kernel/a/evil3.ko: ../../evil.ko\n"
                                          "kernel/last.ko:";

}

BOOST_AUTO_TEST_CASE(finds_by_name) {
    init::ModuleDependencies found;
    BOOST_REQUIRE(init::find_module(dependencies, "bridge", found));
    BOOST_TEST(found.path == "kernel/net/bridge/bridge.ko");
    BOOST_TEST(found.needs == "kernel/net/802/stp.ko kernel/net/llc/llc.ko");
    BOOST_REQUIRE(init::find_module(dependencies, "last", found));
    BOOST_TEST(found.needs == "");
}

BOOST_AUTO_TEST_CASE(dash_and_underscore_are_the_same) {
    init::ModuleDependencies found;
    BOOST_TEST(init::find_module(dependencies, "virtio_blk", found));
    BOOST_TEST(init::find_module(dependencies, "virtio-blk", found));
    BOOST_TEST(init::find_module(dependencies, "br-netfilter", found));
}

BOOST_AUTO_TEST_CASE(nothing_else_matches) {
    init::ModuleDependencies found;
    for (const char* name : {"", "bridg", "bridge.ko", "ridge", "garbage without a colon", "net/bridge/bridge"})
        BOOST_TEST(!init::find_module(dependencies, name, found), name);
    BOOST_TEST(!init::find_module("", "bridge", found));
}

BOOST_AUTO_TEST_CASE(paths_do_not_leave_the_directory) {
    init::ModuleDependencies found;
    for (const char* name : {"evil", "evil2", "evil3"})
        BOOST_TEST(!init::find_module(dependencies, name, found), name);
}

BOOST_AUTO_TEST_CASE(list_lines) {
    BOOST_TEST(init::list_entry("  overlay  # layers\r") == "overlay");
    BOOST_TEST(init::list_entry("# nothing") == "");
    BOOST_TEST(init::list_entry("") == "");
}

BOOST_AUTO_TEST_CASE(a_missing_file_is_an_error) {
    BOOST_TEST(init::load_module_file("/nowhere/x.ko") == ENOENT);
}

BOOST_AUTO_TEST_SUITE_END()
