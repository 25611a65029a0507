#include <sys/stat.h>

#include <boost/test/unit_test.hpp>

#include "base/files.hpp"
#include "image/tree.hpp"
#include "image/tree_path.hpp"
#include "test_files.hpp"

using image::Tree;

namespace {

mode_t mode_of(const std::string& path) {
    struct stat status {};
    BOOST_REQUIRE(::lstat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

} // namespace

BOOST_AUTO_TEST_SUITE(tree)

BOOST_AUTO_TEST_CASE(clean_paths) {
    BOOST_TEST(image::clean_path("/usr//lib/./x/") == "usr/lib/x");
    BOOST_TEST(image::clean_path("./") == "");
    BOOST_TEST(image::clean_path("a..b/...") == "a..b/...");
    BOOST_CHECK_THROW(image::clean_path("usr/../etc"), base::Error);
    BOOST_CHECK_THROW(image::clean_path(".."), base::Error);
}

BOOST_AUTO_TEST_CASE(os_layout) {
    BOOST_TEST(image::os_tree_path("etc/passwd") == "usr/etc/passwd");
    BOOST_TEST(image::os_tree_path("lib64/ld.so") == "usr/lib64/ld.so");
    BOOST_TEST(image::os_tree_path("bin") == "usr/bin");
    BOOST_TEST(image::os_tree_path("etcetera") == "etcetera");
    BOOST_TEST(image::os_tree_path("usr/bin/x") == "usr/bin/x");
}

BOOST_AUTO_TEST_CASE(rules_take_what_they_match_and_all_below) {
    const image::PathRules rules({"/usr/share/doc", "/boot/config-*", "/usr/lib/*.so.?"});
    BOOST_TEST(rules.matches("usr/share/doc"));
    BOOST_TEST(rules.matches("usr/share/doc/a/b"));
    BOOST_TEST(!rules.matches("usr/share/docs"));
    BOOST_TEST(!rules.matches("usr/share"));
    BOOST_TEST(rules.matches("boot/config-6.1"));
    BOOST_TEST(rules.matches("usr/lib/x.so.1"));
    BOOST_TEST(!rules.matches("usr/lib/a/x.so.1"));
    BOOST_TEST(!rules.matches("etc/usr/share/doc"));
}

BOOST_AUTO_TEST_CASE(a_linked_tree_can_be_changed_without_changing_the_first) {
    const base::TempDir directory;
    const std::string cached = directory / "cached";
    base::make_directories(cached);
    const Tree first(cached);
    first.write("usr/bin/tool", "old", 0755);
    first.symlink("bin", "usr/bin");
    image::link_tree(cached, directory / "work");
    const Tree work(directory / "work");
    work.write("usr/bin/tool", "new", 0644);
    BOOST_TEST(base::read_file(first.host_path("usr/bin/tool")) == "old");
    BOOST_TEST(mode_of(first.host_path("usr/bin/tool")) == 0755U);
    BOOST_TEST(base::read_file(work.host_path("bin/tool")) == "new");
    BOOST_TEST(mode_of(work.host_path("usr/bin/tool")) == 0644U);
}

BOOST_AUTO_TEST_CASE(rules_are_applied_in_order) {
    const base::TempDir directory;
    base::make_directories(directory / "bin-dir");
    base::make_directories(directory / "files/etc/sub");
    base::make_directories(directory / "tree");
    base::write_durable(directory / "bin-dir/prog", "ELF", 0600);
    base::write_durable(directory / "files/etc/sub/plain", "1", 0600);
    base::write_durable(directory / "files/etc/run", "2", 0700);
    const Tree tree(directory / "tree");
    using Kind = image::FileRule::Kind;
    tree.apply({{Kind::copy, directory / "files", "", {}},
                {Kind::program, "prog", "usr/bin/prog", {}},
                {Kind::text, "secret", "etc/shadow", 0600},
                {Kind::text, "replaced", "etc/sub/plain", {}},
                {Kind::symlink, "../run", "etc/link", {}}},
               {{"busybox", "usr/bin", {"sh", "ls"}}}, directory / "bin-dir", true);
    BOOST_TEST(base::read_file(tree.host_path("usr/etc/sub/plain")) == "replaced");
    BOOST_TEST(mode_of(tree.host_path("usr/etc/run")) == 0755U);
    BOOST_TEST(mode_of(tree.host_path("usr/bin/prog")) == 0755U);
    BOOST_TEST(mode_of(tree.host_path("usr/etc/shadow")) == 0600U);
    BOOST_TEST(tree.exists("usr/etc/link"));
    BOOST_TEST(tree.exists("usr/bin/ls"));
    BOOST_TEST(message_of([&] {
                   tree.apply({{Kind::program, "absent", "usr/bin/absent", {}}}, {}, directory / "bin-dir", true);
               }).starts_with("program absent ("));
    BOOST_CHECK_THROW(tree.remove(""), base::Error);
}

BOOST_AUTO_TEST_CASE(tar_of_a_tree_is_the_same_whoever_made_it_and_when) {
    const base::TempDir directory;
    std::string tars[2];
    for (int i = 0; i < 2; ++i) {
        const std::string root = directory / std::to_string(i);
        base::make_directories(root);
        const Tree tree(root);
        for (const std::string name : {i == 0 ? "b" : "a", i == 0 ? "a" : "b"})
            tree.write("dir/" + name, name, 0755);
        tree.symlink("link", "dir/a");
        const timespec times[2] = {{i, 0}, {i, 0}};
        BOOST_REQUIRE(::utimensat(AT_FDCWD, tree.host_path("dir/a").c_str(), times, 0) == 0);
        tars[i] = image::tar_of_tree(root, 77);
    }
    BOOST_TEST(tars[0] == tars[1]);
    auto files = read_archive(tars[0]);
    BOOST_TEST(files.at("dir/a").mtime == 77);
    BOOST_TEST(files.at("dir/a").uid == 0);
    BOOST_TEST(files.at("link").link == "dir/a");
}

BOOST_AUTO_TEST_CASE(empty_directories_go) {
    const base::TempDir directory;
    const Tree tree(directory.path());
    tree.make_directories("usr/a/b/c");
    tree.write("usr/d/file", "");
    tree.prune_empty_directories("usr");
    BOOST_TEST(!tree.exists("usr/a"));
    BOOST_TEST(tree.exists("usr/d/file"));
}

BOOST_AUTO_TEST_SUITE_END()
