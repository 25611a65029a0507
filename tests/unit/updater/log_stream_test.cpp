#include <boost/test/unit_test.hpp>

#include "updater/health_watch.hpp"

using namespace updater;

namespace {

std::string frame(char stream, const std::string& text) {
    std::string made(8, '\0');
    made[0] = stream;
    made[6] = static_cast<char>(text.size() >> 8);
    made[7] = static_cast<char>(text.size() & 0xff);
    return made + text;
}

using Lines = std::vector<std::string>;

} // namespace

BOOST_AUTO_TEST_SUITE(updater_log_stream)

BOOST_AUTO_TEST_CASE(framed) {
    BOOST_TEST(split_log_stream(frame(1, "one\ntw") + frame(2, "o\n") + frame(1, "three")) ==
                   (Lines{"one", "two", "three"}),
               boost::test_tools::per_element());
    BOOST_TEST(split_log_stream(frame(1, std::string(300, 'x'))).at(0).size() == 300U);
}

BOOST_AUTO_TEST_CASE(plain) {
    BOOST_TEST(split_log_stream("one\ntwo\n") == (Lines{"one", "two"}), boost::test_tools::per_element());
    BOOST_TEST(split_log_stream("").empty());
}

BOOST_AUTO_TEST_CASE(broken_off) {
    const std::string whole = frame(1, "one\n");
    for (std::size_t size = 0; size <= whole.size(); ++size)
        BOOST_TEST(split_log_stream(std::string_view(whole).substr(0, size)).size() <= 1U);
    // A length far beyond what there is.
    BOOST_TEST(split_log_stream(std::string("\x01\0\0\0\xff\xff\xff\xffzz", 10)) == Lines{"zz"},
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
