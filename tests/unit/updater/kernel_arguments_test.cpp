#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "updater/kernel_arguments.hpp"

using namespace updater;
using Arguments = std::vector<std::string>;
using Kind = ArgumentChange::Kind;

namespace {

Arguments merged(const Arguments& before, const Arguments& here, const Arguments& after,
                 const Arguments& conflicts = {}) {
    const MergedArguments result = merge_arguments(before, here, after);
    BOOST_TEST(result.conflicts == conflicts, boost::test_tools::per_element());
    return result.arguments;
}

} // namespace

BOOST_AUTO_TEST_SUITE(updater_kernel_arguments)

BOOST_AUTO_TEST_CASE(an_unchanged_host_gets_the_next_images) {
    BOOST_TEST(merged({"quiet", "panic=10"}, {"root=LABEL=x", "quiet", "panic=10", "atoll.rev=1", "ostree=/a"},
                      {"panic=20", "console=tty0"}) == (Arguments{"root=LABEL=x", "panic=20", "console=tty0"}));
}

BOOST_AUTO_TEST_CASE(what_the_host_added_and_deleted_stays) {
    BOOST_TEST(merged({"quiet", "console=tty0", "console=ttyS0"},
                      {"console=tty0", "console=ttyS0", "console=hvc0", "mine"},
                      {"quiet", "console=tty0", "console=ttyS1", "new"}) ==
               (Arguments{"console=tty0", "console=ttyS1", "console=hvc0", "mine", "new"}));
}

BOOST_AUTO_TEST_CASE(changed_on_both_sides_is_a_conflict_and_the_hosts) {
    BOOST_TEST(merged({"panic=10"}, {"panic=5"}, {"panic=20"}, {"panic"}) == (Arguments{"panic=5"}));
    BOOST_TEST(merged({"panic=10"}, {}, {"panic=20"}, {"panic"}).empty());
    BOOST_TEST(merged({"panic=10"}, {"panic=20"}, {"panic=20"}) == (Arguments{"panic=20"}));
    BOOST_TEST(merged({"panic=10"}, {"panic=5"}, {}) == (Arguments{"panic=5"}));
}

BOOST_AUTO_TEST_CASE(the_same_name_twice_is_two_arguments) {
    BOOST_TEST(merged({"a=1", "a=1"}, {"a=1"}, {"a=1", "a=1", "b"}) == (Arguments{"a=1", "b"}));
}

BOOST_AUTO_TEST_CASE(changes) {
    const Arguments from{"root=x", "quiet", "console=tty0", "console=ttyS0,115200"};
    const auto change = [&](Kind kind, const std::string& text) {
        return change_arguments(from, {{kind, text}}, true);
    };
    BOOST_TEST(change(Kind::append, "debug").back() == "debug");
    BOOST_TEST(change(Kind::remove, "quiet") == (Arguments{"root=x", "console=tty0", "console=ttyS0,115200"}));
    BOOST_TEST(change(Kind::replace, "console=tty0=hvc0") ==
               (Arguments{"root=x", "quiet", "console=hvc0", "console=ttyS0,115200"}));
    BOOST_CHECK_THROW(change(Kind::remove, "console"), base::Error); // which one?
    BOOST_CHECK_THROW(change(Kind::remove, "none"), base::Error);
    BOOST_CHECK_THROW(change(Kind::replace, "none=1"), base::Error);
    BOOST_TEST(change_arguments(from, {{Kind::remove, "none"}, {Kind::replace, "none=1"}}, false) == from);
}

BOOST_AUTO_TEST_CASE(what_must_not_be_changed) {
    for (const char* bad :
         {"", "=x", "a b", "a;b", "$(x)", "atoll.rev=1", "ostree=/x", "initrd=/x", "root=/dev/sda", "a\"b", "a\nb"})
        BOOST_CHECK_THROW(require_valid_change({Kind::append, bad}), base::Error);
    BOOST_CHECK_THROW(require_valid_change({Kind::append, std::string(600, 'a')}), base::Error);
    BOOST_CHECK_THROW(require_valid_change({Kind::replace, "quiet"}), base::Error);
    BOOST_CHECK_NO_THROW(require_valid_change({Kind::append, "console=ttyS0,115200n8"}));
}

BOOST_AUTO_TEST_SUITE_END()
