#include "text.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(text)

BOOST_AUTO_TEST_CASE(puts_parts_of_all_kinds) {
    const init::Text<128> text("a=", 1, " b=", std::uint64_t{18446744073709551615U}, " c=", INT64_MIN, ' ',
                               init::Hex{0xbeef}, " ", init::Errno{ENOENT});
    BOOST_TEST(text.view() == "a=1 b=18446744073709551615 c=-9223372036854775808 000000000000beef "
                              "No such file or directory");
    BOOST_TEST(!text.truncated());
}

BOOST_AUTO_TEST_CASE(cuts_off_what_does_not_fit_and_says_so) {
    init::Text<6> text("abc");
    text.add("defgh");
    BOOST_TEST(text.view() == "abcde");
    BOOST_TEST(text.c_str()[5] == '\0');
    BOOST_TEST(text.truncated());
    text.clear();
    BOOST_TEST(text.empty());
    BOOST_TEST(!text.truncated());
}

BOOST_AUTO_TEST_CASE(an_unknown_errno_is_a_number) {
    BOOST_TEST(init::Text<32>(init::Errno{99999}).view() == "error 99999");
}

BOOST_AUTO_TEST_CASE(parts_keep_the_empty_ones) {
    std::string_view rest = "a,,b,";
    BOOST_TEST(*init::next_part(rest, ',') == "a");
    BOOST_TEST(*init::next_part(rest, ',') == "");
    BOOST_TEST(*init::next_part(rest, ',') == "b");
    BOOST_TEST(*init::next_part(rest, ',') == "");
    BOOST_TEST(!init::next_part(rest, ',').has_value());
}

BOOST_AUTO_TEST_CASE(numbers_are_whole_and_fit) {
    BOOST_TEST(init::parse_number("0").value() == 0U);
    BOOST_TEST(init::parse_number("18446744073709551615").value() == UINT64_MAX);
    for (const char* bad : {"", "-1", "+1", " 1", "1 ", "0x1", "18446744073709551616", "99999999999999999999999"})
        BOOST_TEST(!init::parse_number(bad).has_value(), bad);
}

BOOST_AUTO_TEST_CASE(trims_both_sides) {
    BOOST_TEST(init::trimmed(" \t a b\r\n") == "a b");
    BOOST_TEST(init::trimmed(" \n") == "");
}

BOOST_AUTO_TEST_SUITE_END()
