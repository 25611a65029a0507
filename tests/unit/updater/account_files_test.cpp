#include <boost/test/unit_test.hpp>

#include "updater/account_files.hpp"

using namespace updater;

namespace {

const std::string image_before = "root:x:0:0:root:/root:/bin/sh\n"
                                 "daemon:x:1:1:daemon:/:/bin/false\n"
                                 "old:x:90:90::/:/bin/false\n";

} // namespace

BOOST_AUTO_TEST_SUITE(updater_account_files)

BOOST_AUTO_TEST_CASE(a_new_system_user_comes_in_beside_the_hosts) {
    const MergedAccounts merged = merge_accounts(
        AccountFile::passwd, image_before, image_before + "web:x:1000:1000:our web:/srv:/bin/sh\n",
        "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/usr/sbin/nologin\ntime:x:91:91::/:/bin/false\n");
    BOOST_TEST(merged.text == "root:x:0:0:root:/root:/bin/sh\n"
                              "daemon:x:1:1:daemon:/:/usr/sbin/nologin\n"
                              "web:x:1000:1000:our web:/srv:/bin/sh\n"
                              "time:x:91:91::/:/bin/false\n");
    BOOST_TEST(merged.added == (std::vector<std::string>{"time"}));
    BOOST_TEST(merged.removed == (std::vector<std::string>{"old"}));
    BOOST_TEST(merged.updated == (std::vector<std::string>{"daemon"}));
    BOOST_TEST(merged.conflicts.empty());
}

BOOST_AUTO_TEST_CASE(what_the_host_changed_or_deleted_stays) {
    const std::string here = "root:x:0:0:root:/root:/bin/ash\n# a note\nold:x:90:90:mine:/:/bin/sh\n";
    const MergedAccounts merged = merge_accounts(AccountFile::passwd, image_before, here,
                                                 "root:x:0:0:Root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/false\n");
    // Fields merge: the shell is ours, the name the image's. daemon was deleted here; old was changed here.
    BOOST_TEST(merged.text == "root:x:0:0:Root:/root:/bin/ash\n# a note\nold:x:90:90:mine:/:/bin/sh\n");
    BOOST_TEST(merged.conflicts.empty());
    const MergedAccounts fight = merge_accounts(AccountFile::passwd, image_before, here,
                                                "root:x:0:0:root:/root:/bin/bash\nold:x:90:90::/:/bin/false\n");
    BOOST_TEST(fight.text == here);
    BOOST_TEST_REQUIRE(fight.conflicts.size() == 1U);
    BOOST_TEST(fight.conflicts.front().starts_with("passwd: root: changed here and in the image"));
}

BOOST_AUTO_TEST_CASE(an_id_is_not_given_twice) {
    const MergedAccounts merged =
        merge_accounts(AccountFile::passwd, image_before, image_before + "web:x:91:91::/:/bin/sh\n",
                       image_before + "time:x:91:91::/:/bin/false\ntoor:x:0:0::/:/bin/sh\n");
    BOOST_TEST(merged.refused == (std::set<std::string>{"time"}), boost::test_tools::per_element());
    BOOST_TEST(merged.text.find("time") == std::string::npos);
    BOOST_TEST(merged.text.find("toor:x:0") != std::string::npos); // root's id: the image means it
    const MergedAccounts shadow = merge_accounts(AccountFile::shadow, "root:*:1::::::\n", "root:$6$x:1::::::\n",
                                                 "root:*:1::::::\ntime:!:1::::::\nother:!:1::::::\n", merged.refused);
    BOOST_TEST(shadow.text == "root:$6$x:1::::::\nother:!:1::::::\n");
}

BOOST_AUTO_TEST_CASE(members_of_groups) {
    const MergedAccounts merged = merge_accounts(AccountFile::group, "adm:x:4:a,b\ntty:x:5:\n",
                                                 "adm:x:4:a,b,me\ntty:x:5:me\n", "adm:x:4:a,c\ntty:x:5:\nnew:x:60:\n");
    BOOST_TEST(merged.text == "adm:x:4:a,me,c\ntty:x:5:me\nnew:x:60:\n");
}

BOOST_AUTO_TEST_CASE(strange_lines_stay) {
    const std::string here =
        "+::::::\nroot:x:0:0:root:/root:/bin/sh\nroot:x:0:0:second:/:/bin/sh\n\nnocolon\n:x:5\nshort:x\n";
    const MergedAccounts merged =
        merge_accounts(AccountFile::passwd, image_before, here, image_before + "new:x:92:92::/:/bin/false\n");
    BOOST_TEST(merged.text == here + "new:x:92:92::/:/bin/false\n");
}

BOOST_AUTO_TEST_SUITE_END()
