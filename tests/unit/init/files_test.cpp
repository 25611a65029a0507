#include "files.hpp"

#include <boost/test/unit_test.hpp>

#include <sys/stat.h>

#include <filesystem>

#include "base/files.hpp"

BOOST_AUTO_TEST_SUITE(files)

BOOST_AUTO_TEST_CASE(durable_write_replaces_whole_files) {
    const base::TempDir directory;
    const std::string path = directory / "note";
    BOOST_TEST(init::write_durable(path.c_str(), "first, a long one", 0600) == 0);
    BOOST_TEST(init::write_durable(path.c_str(), "second", 0400) == 0);
    BOOST_TEST(base::read_file(path) == "second");
    struct stat status {};
    BOOST_REQUIRE(::stat(path.c_str(), &status) == 0);
    BOOST_TEST((status.st_mode & 07777) == 0400);
    BOOST_TEST(!std::filesystem::exists(path + ".new"));
    BOOST_TEST(init::write_durable((directory / "no/such/place").c_str(), "x", 0600) == ENOENT);
}

BOOST_AUTO_TEST_CASE(a_failed_write_leaves_the_old_file) {
    const base::TempDir directory;
    std::filesystem::create_directories(directory / "note"); // rename over a directory fails
    BOOST_TEST(init::write_durable((directory / "note").c_str(), "x", 0600) == EISDIR);
    BOOST_TEST(!std::filesystem::exists(directory / "note.new"));
}

BOOST_AUTO_TEST_CASE(reads_are_bounded) {
    const base::TempDir directory;
    const std::string path = directory / "text";
    base::write_durable(path, std::string(3000, 'x'));
    init::Text<4096> all;
    BOOST_TEST(init::read_text(path.c_str(), all) == 0);
    BOOST_TEST(all.view().size() == 3000U);
    BOOST_TEST(!all.truncated());
    init::Text<1024> some;
    BOOST_TEST(init::read_text(path.c_str(), some) == 0);
    BOOST_TEST(some.view().size() == 1023U);
    BOOST_TEST(some.truncated());
    BOOST_TEST(init::read_text((directory / "none").c_str(), some) == ENOENT);
}

BOOST_AUTO_TEST_CASE(directories) {
    const base::TempDir directory;
    const std::string path = directory / "a/b/c";
    BOOST_TEST(init::make_directories(path.c_str()) == 0);
    BOOST_TEST(init::make_directories(path.c_str()) == 0);
    BOOST_TEST(std::filesystem::is_directory(path));
    const std::string sticky = directory / "tmp";
    BOOST_TEST(init::make_directory(sticky.c_str(), 01777) == 0);
    struct stat status {};
    BOOST_REQUIRE(::stat(sticky.c_str(), &status) == 0);
    BOOST_TEST((status.st_mode & 07777) == 01777);
    base::write_durable(directory / "file", "");
    BOOST_TEST(init::make_directories((directory / "file/x").c_str()) == ENOTDIR);
}

BOOST_AUTO_TEST_SUITE_END()
