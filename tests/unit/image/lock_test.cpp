#include <boost/test/unit_test.hpp>

#include "image/lock.hpp"
#include "test_files.hpp"

using image::Lock;
using image::parse_lock;

namespace {

const std::string digest_a(64, 'a');

std::string line(const std::string& name,
                 const std::string& rest = "=1:2.0-1 amd64 " + digest_a + " 100 pool/main/x.deb") {
    return name + rest + "\n";
}

} // namespace

BOOST_AUTO_TEST_SUITE(lock)

BOOST_AUTO_TEST_CASE(what_is_written_is_read_back) {
    Lock lock{1795000000,
              {{"busybox", "1:1.35.0-4+deb12u1+b1", "amd64", digest_a, 452120, "pool/main/b/busybox/b.deb"},
               {"libc6", "2.36-9", "all", std::string(64, '0'), 1, "pool/l/libc6.deb"}}};
    const Lock again = parse_lock(image::format_lock(lock), "x.lock");
    BOOST_TEST(again.date == lock.date);
    BOOST_TEST((again.packages == lock.packages));
    BOOST_TEST(again.find("libc6")->version == "2.36-9");
    BOOST_TEST((again.find("libc") == nullptr));
    BOOST_TEST((again.find("zzz") == nullptr));
}

BOOST_AUTO_TEST_CASE(pool_name_is_what_apt_get_download_writes) {
    const image::LockedPackage package{"busybox", "1:1.35", "amd64", digest_a, 1, "pool/x.deb"};
    BOOST_TEST(package.pool_name() == "busybox_1%3a1.35_amd64.deb");
}

BOOST_AUTO_TEST_CASE(digest_depends_on_the_packages_and_not_on_the_date) {
    const Lock one = parse_lock("date 1\n" + line("a"), "x");
    const Lock two = parse_lock("date 2\n# other\n\n" + line("a"), "x");
    const Lock three = parse_lock("date 1\n" + line("b"), "x");
    BOOST_TEST(one.digest() == two.digest());
    BOOST_TEST(one.digest() != three.digest());
}

BOOST_AUTO_TEST_CASE(problems_name_line_and_column) {
    const auto problem = [](const std::string& text) {
        return message_of([&] { parse_lock(text, "p.lock"); });
    };
    BOOST_TEST(problem("date 1\n" + line("a") + "b 1.0\n") == "p.lock:3:1: expected NAME=VERSION, got \"b\"");
    BOOST_TEST(problem("date 1\n" + line("a") + line("a")) == "p.lock:3:1: a: locked twice");
    BOOST_TEST(problem("date 1\n" + line("b") + line("a")) == "p.lock:3:1: a: not in order");
    BOOST_TEST(problem("date 1\n" + line("a b")) == "p.lock:2:1: expected NAME=VERSION, got \"a\"");
    BOOST_TEST(problem("date 1\n" + line("a", "=1;2 amd64")) == "p.lock:2:3: a: bad version \"1;2\"");
    BOOST_TEST(problem("date 1\n" + line("a", "=1 arm64 x")) ==
               "p.lock:2:5: a: expected the architecture, amd64 or all");
    BOOST_TEST(problem("date 1\n" + line("a", "=1 all " + std::string(63, 'a')))
                   .starts_with("p.lock:2:9: a: expected a SHA256"));
    BOOST_TEST(problem("date 1\n" + line("a", "=1 all " + std::string(64, 'A')))
                   .starts_with("p.lock:2:9: a: expected a SHA256"));
    for (const char* size : {"0", "-1", "1x", "99999999999999999999", "1073741825"})
        BOOST_TEST(problem("date 1\n" + line("a", "=1 all " + digest_a + " " + size + " pool/a.deb"))
                       .starts_with("p.lock:2:74: a: expected the size"));
    for (const char* file : {"/etc/passwd.deb", "pool/../../x.deb", "pool/a", "pool/a b.deb", "http://pool/a.deb", ""})
        BOOST_TEST(problem("date 1\n" + line("a", "=1 all " + digest_a + " 1 " + file)).find("p.lock:2:") == 0U, file);
    BOOST_TEST(problem(line("a")) == "p.lock:1:1: no \"date SECONDS\" line");
    BOOST_TEST(problem("date 1\ndate 2\n") == "p.lock:2:1: a second date");
    BOOST_TEST(problem("date -1\n").starts_with("p.lock:1:6: expected \"date SECONDS\""));
    BOOST_TEST(problem("").starts_with("p.lock:1:1:"));
}

BOOST_AUTO_TEST_SUITE_END()
