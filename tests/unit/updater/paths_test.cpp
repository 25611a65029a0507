#include <boost/test/unit_test.hpp>

#include "updater/paths.hpp"

using namespace updater;

BOOST_AUTO_TEST_SUITE(updater_paths)

BOOST_AUTO_TEST_CASE(below_a_directory) {
    const Paths paths = Paths::below("/tmp/x");
    BOOST_TEST(paths.root == "/tmp/x");
    BOOST_TEST(paths.grub_env == "/tmp/x/boot/grub/grubenv");
    BOOST_TEST(paths.state_file() == "/tmp/x/var/lib/atoll/updater/state.json");
    BOOST_TEST(!paths.is_machine());
    BOOST_TEST(Paths::below("/").grub_env == "/boot/grub/grubenv");
    BOOST_TEST(Paths::below("/").is_machine());
}

BOOST_AUTO_TEST_CASE(kernel_arguments) {
    BOOST_TEST(kernel_argument("root=/dev/vda atoll.rev=12 quiet\n", "atoll.rev") == "12");
    BOOST_TEST(kernel_argument("atoll.rev=12\n", "atoll.rev") == "12");
    BOOST_TEST(kernel_argument("atoll.rev=1 atoll.rev=2", "atoll.rev") == "2");
    BOOST_TEST(kernel_argument("xatoll.rev=1 atoll.revision=2 atoll.rev", "atoll.rev").empty());
    BOOST_TEST(kernel_argument("", "atoll.rev").empty());
    BOOST_TEST(kernel_argument("a=b=c", "a") == "b=c");
}

BOOST_AUTO_TEST_SUITE_END()
