#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "updater/boot_text.hpp"

using namespace updater;

BOOST_AUTO_TEST_SUITE(updater_boot_text)

BOOST_AUTO_TEST_CASE(safe_and_unsafe_text) {
    BOOST_TEST(is_safe_boot_text("root=LABEL=atoll-root console=ttyS0,115200 a=[::1]/x:y%z~1 (ostree:0)"));
    BOOST_TEST(is_safe_boot_text(""));
    for (const char c : std::string(";$&|<>'\"`\\{}#*?!^\n\r\t\0\x7f\x80\xff", 23))
        BOOST_TEST(!is_safe_boot_text(std::string("a") + c));
}

BOOST_AUTO_TEST_CASE(message_names_the_character) {
    const auto names = [](const char* text) {
        return [text](const base::Error& error) {
            return std::string(error.what()).find(text) != std::string::npos;
        };
    };
    BOOST_CHECK_EXCEPTION(require_safe_boot_text("1; reboot", "version"), base::Error, names("version: character ';'"));
    BOOST_CHECK_EXCEPTION(require_safe_boot_text("1\n2", "version"), base::Error, names("character 0x0a"));
    BOOST_CHECK_EXCEPTION(require_safe_boot_text("\xc3\xa4", "version"), base::Error, names("character 0xc3"));
    BOOST_CHECK_NO_THROW(require_safe_boot_text("1.0", "version"));
}

BOOST_AUTO_TEST_CASE(kernel_arguments_of_the_next_deployment) {
    const std::vector<std::string> expected{"root=LABEL=atoll-root", "rw", "atoll.trial=60",
                                            "atoll.rev=00000000000000ff"};
    BOOST_TEST(next_kernel_arguments("root=LABEL=atoll-root  rw atoll.rev=0000000000000001 BOOT_IMAGE=/x initrd=/y "
                                     "ostree=/ostree/boot.1/atoll/abc/0 atoll.trial=60",
                                     "00000000000000ff") == expected,
               boost::test_tools::per_element());
    BOOST_TEST(next_kernel_arguments("", "00000000000000ff") == std::vector<std::string>{"atoll.rev=00000000000000ff"},
               boost::test_tools::per_element());
    BOOST_CHECK_THROW(next_kernel_arguments("a=$(x)", "00000000000000ff"), base::Error);
}

BOOST_AUTO_TEST_CASE(revisions) {
    const std::string revision = draw_revision();
    BOOST_TEST(is_revision(revision));
    BOOST_TEST(revision != draw_revision());
    BOOST_TEST(!is_revision("0000000000000001 "));
    BOOST_TEST(!is_revision("000000000000000A"));
    BOOST_TEST(!is_revision(""));
}

BOOST_AUTO_TEST_CASE(os_release_values) {
    const std::string text = "NAME=Atoll\nPRETTY_NAME=\"Atoll 1\"\nNAME_X=no\n#ID=none\nID='atoll'\nVERSION=";
    BOOST_TEST(os_release_value(text, "NAME") == "Atoll");
    BOOST_TEST(os_release_value(text, "PRETTY_NAME") == "Atoll 1");
    BOOST_TEST(os_release_value(text, "ID") == "atoll");
    BOOST_TEST(os_release_value(text, "VERSION").empty());
    BOOST_TEST(os_release_value(text, "MISSING").empty());
    BOOST_CHECK_THROW(require_safe_os_release("NAME=\"a;b\"\n", "os-release"), base::Error);
    BOOST_CHECK_NO_THROW(require_safe_os_release(text, "os-release"));
}

BOOST_AUTO_TEST_CASE(text_of_others_is_made_plain) {
    BOOST_TEST(plain_text("a\x1b[31m\xc3\xa4\tb\n", 100) == "a?[31m?? b ");
    BOOST_TEST(plain_text("abcdef", 3) == "abc");
}

BOOST_AUTO_TEST_CASE(versions_are_compared_by_their_numbers) {
    // Each is older than the next.
    const std::array order{"", "0.9", "1.0~rc1", "1.0", "1.0.1", "1.9", "1.10", "1.10a", "2", "10"};
    for (std::size_t left = 0; left < order.size(); ++left) {
        for (std::size_t right = 0; right < order.size(); ++right) {
            BOOST_TEST_INFO(order[left] << " and " << order[right]);
            const int sign = left < right ? -1 : left > right ? 1 : 0;
            const int got = compare_versions(order[left], order[right]);
            BOOST_TEST((got > 0) - (got < 0) == sign);
        }
    }
    BOOST_TEST(compare_versions("1.01", "1.1") == 0);
    BOOST_TEST(compare_versions("1.99999999999999999999999", "1.100000000000000000000000") < 0);
}

BOOST_AUTO_TEST_SUITE_END()
