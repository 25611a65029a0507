#include "base/files.hpp"

#include <sys/stat.h>

#include <boost/test/unit_test.hpp>

#include <set>

#include "base/error.hpp"

namespace {

bool exists(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0;
}

} // namespace

BOOST_AUTO_TEST_SUITE(files)

BOOST_AUTO_TEST_CASE(write_durable_replaces_and_leaves_no_temporary) {
    const base::TempDir dir;
    base::write_durable(dir / "state", "one", 0600);
    base::write_durable(dir / "state", "two", 0640);
    BOOST_TEST(base::read_file(dir / "state") == "two");
    struct stat info {};
    BOOST_REQUIRE(::stat((dir / "state").c_str(), &info) == 0);
    BOOST_TEST((info.st_mode & 0777) == 0640);
    const auto entries = std::distance(std::filesystem::directory_iterator(dir.path()), {});
    BOOST_TEST(entries == 1);
}

BOOST_AUTO_TEST_CASE(write_durable_failure_keeps_the_old_content) {
    const base::TempDir dir;
    BOOST_REQUIRE(::mkdir((dir / "state").c_str(), 0755) == 0); // rename over a directory fails
    BOOST_CHECK_THROW(base::write_durable(dir / "state", "x"), base::Error);
    BOOST_TEST(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1);
}

BOOST_AUTO_TEST_CASE(leftovers_of_a_killed_write_are_removed) {
    const base::TempDir dir;
    const std::vector<std::string> kept{"state", "state.bad", "state.abc-12", "state.abcdefg", "other.abc123"};
    for (const std::string& name : kept)
        base::write_durable(dir / name, "kept");
    for (const char* name : {"state.abc123", "state.ZZZZZZ"})
        base::write_durable(dir / name, "half");
    base::remove_write_leftovers(dir / "state");
    std::set<std::string> left;
    for (const auto& item : std::filesystem::directory_iterator(dir.path()))
        left.insert(item.path().filename());
    BOOST_TEST(left == std::set<std::string>(kept.begin(), kept.end()), boost::test_tools::per_element());
    BOOST_CHECK_NO_THROW(base::remove_write_leftovers(dir / "none/state"));
}

BOOST_AUTO_TEST_CASE(read_limit_is_an_error) {
    const base::TempDir dir;
    base::write_durable(dir / "big", std::string(100, 'x'));
    BOOST_TEST(base::read_file(dir / "big", 100).size() == 100U);
    BOOST_CHECK_EXCEPTION(base::read_file(dir / "big", 99), base::Error,
                          [](const base::Error& error) { return error.error() == EFBIG; });
    BOOST_TEST(!base::read_file_if_exists(dir / "none").has_value());
}

BOOST_AUTO_TEST_CASE(symlinks_stay_in_the_root) {
    const base::TempDir dir;
    BOOST_REQUIRE(::mkdir((dir / "root").c_str(), 0755) == 0);
    base::write_durable(dir / "secret", "outside");
    base::write_durable(dir / "root/secret", "inside");
    BOOST_REQUIRE(::symlink("../../../../secret", (dir / "root/up").c_str()) == 0);
    BOOST_REQUIRE(::symlink("/secret", (dir / "root/absolute").c_str()) == 0);
    const base::UniqueFd root = base::open_file(dir / "root", O_PATH | O_DIRECTORY);
    for (const std::string name : {"up", "absolute"}) {
        const base::UniqueFd fd = base::open_in_root(root.get(), name, O_RDONLY);
        BOOST_TEST(base::read_fd(fd.get(), 100, name) == "inside");
        BOOST_CHECK_THROW(base::open_beneath(root.get(), name, O_RDONLY), base::Error);
    }
}

BOOST_AUTO_TEST_CASE(remove_tree_does_not_follow_symlinks) {
    const base::TempDir dir;
    base::make_directories(dir / "tree/a/b/c");
    base::write_durable(dir / "tree/a/file", "x");
    base::write_durable(dir / "kept", "x");
    BOOST_REQUIRE(::symlink(dir.path().c_str(), (dir / "tree/a/link").c_str()) == 0);
    base::remove_tree(dir / "tree");
    BOOST_TEST(!exists(dir / "tree"));
    BOOST_TEST(exists(dir / "kept"));
    base::remove_tree(dir / "tree"); // gone already: no error
}

BOOST_AUTO_TEST_CASE(make_directories_names_what_is_in_the_way) {
    const base::TempDir dir;
    base::write_durable(dir / "file", "x");
    BOOST_CHECK_THROW(base::make_directories(dir / "file"), base::Error);
    BOOST_CHECK_THROW(base::make_directories(dir / "file/below"), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
