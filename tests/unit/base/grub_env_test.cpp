#include "base/grub_env.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/files.hpp"

BOOST_AUTO_TEST_SUITE(grub_env)

BOOST_AUTO_TEST_CASE(round_trip) {
    base::GrubEnv env;
    env.set("ok", "0123456789abcdef");
    env.set("tries", "3");
    env.set("odd", "a\\b=c");
    const std::string block = env.serialize();
    BOOST_TEST(block.size() == 1024U);
    BOOST_TEST((base::GrubEnv::parse(block).values() == env.values()));
}

BOOST_AUTO_TEST_CASE(refuses_what_is_no_block) {
    BOOST_CHECK_THROW(base::GrubEnv::parse(""), base::Error);
    BOOST_CHECK_THROW(base::GrubEnv::parse(std::string(1024, '\0')), base::Error);
    BOOST_CHECK_THROW(base::GrubEnv::parse(base::GrubEnv().serialize() + "#"), base::Error);
}

BOOST_AUTO_TEST_CASE(values_stay_in_one_sector) {
    base::GrubEnv env;
    env.set("ok", std::string(500, 'x'));
    BOOST_CHECK_THROW(env.serialize(), base::Error);
    BOOST_CHECK_THROW(env.set("ok", "two\nlines"), base::Error);
    BOOST_CHECK_THROW(env.set("not a name", "x"), base::Error);
}

BOOST_AUTO_TEST_CASE(stores_in_place_and_creates_nothing) {
    const base::TempDir dir;
    base::GrubEnv env;
    BOOST_CHECK_THROW(env.store_in_place(dir / "grubenv"), base::Error);
    base::write_durable(dir / "grubenv", env.serialize());
    env.set("ok", "1");
    env.store_in_place(dir / "grubenv");
    BOOST_TEST(base::GrubEnv::load(dir / "grubenv").get("ok") == "1");
}

BOOST_AUTO_TEST_SUITE_END()
