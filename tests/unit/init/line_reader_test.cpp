#include "line_reader.hpp"

#include <boost/test/unit_test.hpp>

#include <string>
#include <vector>

#include "log.hpp"

BOOST_AUTO_TEST_SUITE(line_reader)

BOOST_AUTO_TEST_CASE(joins_pieces_and_splits_long_lines) {
    init::LineReader reader;
    std::vector<std::string> lines;
    const auto sink = [&](std::string_view line) {
        lines.emplace_back(line);
    };
    reader.feed("on", sink);
    reader.feed("e\n\ntwo\nthr", sink);
    BOOST_TEST(lines == (std::vector<std::string>{"one", "", "two"}), boost::test_tools::per_element());
    lines.clear();
    reader.feed("ee\n" + std::string(2000, 'x') + "\n", sink);
    BOOST_REQUIRE(lines.size() == 4U);
    BOOST_TEST(lines[0] == "three");
    BOOST_TEST(lines[1].size() == init::LineReader::max_line);
    BOOST_TEST(lines[1].size() + lines[2].size() + lines[3].size() == 2000U);
}

BOOST_AUTO_TEST_CASE(takes_the_level_and_masks_control_characters) {
    init::Text<128> text;
    BOOST_TEST((init::sanitize_line("<4>engined: a\x1b[31mb\x7f\t\xc3\xa4", text) == init::Level::warning));
    BOOST_TEST(text.view() == "engined: a?[31mb??\xc3\xa4");
    text.clear();
    BOOST_TEST((init::sanitize_line("<0>x", text) == init::Level::error)); // not louder than we are ourselves
    text.clear();
    BOOST_TEST((init::sanitize_line("<9>x", text) == init::Level::info));
    BOOST_TEST(text.view() == "<9>x");
}

BOOST_AUTO_TEST_SUITE_END()
