#include "base/error.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(error)

BOOST_AUTO_TEST_CASE(says_operation_and_reason) {
    const base::Error error(EINVAL, "mount overlay on /run/x");
    BOOST_TEST(std::string(error.what()) == "mount overlay on /run/x: Invalid argument");
    BOOST_TEST(error.error() == EINVAL);
}

BOOST_AUTO_TEST_CASE(chain_is_outermost_first) {
    try {
        base::with_context("start container 4f2a", [] { throw base::Error(ENOENT, "open config.json"); });
        BOOST_FAIL("nothing was thrown");
    } catch (const std::exception& error) {
        BOOST_TEST(base::error_chain(error) == "start container 4f2a: open config.json: No such file or directory");
    }
}

BOOST_AUTO_TEST_SUITE_END()
