#include "core/identity.hpp"

#include <signal.h>

#include <boost/test/unit_test.hpp>

#include "base/sha256.hpp"

BOOST_AUTO_TEST_SUITE(identity)

BOOST_AUTO_TEST_CASE(ids_are_64_digits_and_differ) {
    const std::string first = engine::random_id(), second = engine::random_id();
    BOOST_TEST(first.size() == 64U);
    BOOST_TEST((first.find_first_not_of("0123456789abcdef") == std::string::npos));
    BOOST_TEST(first != second);
    BOOST_TEST((first.substr(0, 12).find_first_of("abcdef") != std::string::npos));
}

BOOST_AUTO_TEST_CASE(names_follow_dockers_rule) {
    for (const char* good : {"web", "web.1", "a_b-c", "0x", "atoll.network"})
        BOOST_TEST(engine::valid_container_name(good), good);
    for (const char* bad : {"", "w", "-web", ".web", "a/b", "a b", "w\xc3\xa4"})
        BOOST_TEST(!engine::valid_container_name(bad), bad);
    BOOST_TEST(!engine::valid_container_name(std::string(129, 'a')));
}

BOOST_AUTO_TEST_CASE(signals_by_name_and_number) {
    BOOST_TEST(engine::parse_signal("SIGTERM").value() == SIGTERM);
    BOOST_TEST(engine::parse_signal("term").value() == SIGTERM);
    BOOST_TEST(engine::parse_signal("9").value() == SIGKILL);
    BOOST_TEST(engine::parse_signal("RTMIN+3").value() == 37);
    BOOST_TEST(engine::parse_signal("SIGRTMAX-1").value() == 63);
    for (const char* bad : {"", "0", "65", "-1", "SIG", "NOSUCH", "RTMIN+31", "9x", "RTMIN+"})
        BOOST_TEST(!engine::parse_signal(bad).has_value(), bad);
}

BOOST_AUTO_TEST_SUITE_END()
