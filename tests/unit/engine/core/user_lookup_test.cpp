#include "core/user_lookup.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/files.hpp"

namespace {

struct Root {
    Root() {
        base::make_directories(directory / "etc");
        base::write_durable(directory / "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                                                      "www:x:33:34:www:/var/www:/bin/false\nbroken\nbad:x:-1:x::/:/\n");
        base::write_durable(directory / "etc/group", "root:x:0:\nwww:x:34:\naudio:x:29:pulse,www\nvideo:x:44:www\n");
    }
    engine::ContainerUser look_up(const std::string& user, const std::vector<std::string>& groups = {}) const {
        return engine::look_up_user(directory.path(), user, groups);
    }
    base::TempDir directory;
};

using Groups = std::vector<gid_t>;

} // namespace

BOOST_FIXTURE_TEST_SUITE(user_lookup, Root)

BOOST_AUTO_TEST_CASE(names_and_numbers) {
    BOOST_TEST(look_up("").uid == 0U);
    BOOST_TEST(look_up("").home == "/root");
    const auto www = look_up("www");
    BOOST_TEST(www.uid == 33U);
    BOOST_TEST(www.gid == 34U);
    BOOST_TEST((www.additional_groups == Groups{29, 44}));
    BOOST_TEST(look_up("33").gid == 34U);
    BOOST_TEST(look_up("1234").uid == 1234U);
    BOOST_TEST(look_up("1234").gid == 0U);
    BOOST_TEST(look_up("1234").home == "/");
}

BOOST_AUTO_TEST_CASE(a_group_given_is_the_only_one) {
    const auto user = look_up("www:video", {"audio", "7"});
    BOOST_TEST(user.gid == 44U);
    BOOST_TEST((user.additional_groups == Groups{29, 7}));
    BOOST_TEST(look_up("5:6").gid == 6U);
}

BOOST_AUTO_TEST_CASE(who_is_not_there_is_an_error) {
    for (const char* bad : {"nobody", "bad", "www:nogroup", "-1", "4294967295", "www:-1"})
        BOOST_CHECK_THROW((void)look_up(bad), base::Error);
}

BOOST_AUTO_TEST_CASE(links_do_not_lead_out_of_the_root) {
    const base::TempDir outside;
    base::write_durable(outside / "passwd", "root:x:7:7::/:/\n");
    ::unlink((directory / "etc/passwd").c_str());
    // Inside the root there is nothing at that path.
    BOOST_REQUIRE(::symlink((outside / "passwd").c_str(), (directory / "etc/passwd").c_str()) == 0);
    BOOST_CHECK_THROW((void)look_up("root"), base::Error);
    BOOST_TEST(look_up("0").uid == 0U);
}

BOOST_AUTO_TEST_CASE(a_fifo_for_a_file_does_not_hold_us) {
    ::unlink((directory / "etc/passwd").c_str());
    BOOST_REQUIRE(::mkfifo((directory / "etc/passwd").c_str(), 0600) == 0);
    BOOST_TEST(look_up("0").uid == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
