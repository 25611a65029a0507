// Volumes, paths in containers, sizes: what the API does with directories.
#include <boost/test/unit_test.hpp>

#include <fcntl.h>

#include "api/directory_size.hpp"
#include "api/rootfs_path.hpp"
#include "api/volume_store.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "images/tar_writer.hpp"

using namespace engine;
using namespace engine::api;
namespace fs = std::filesystem;

namespace {

struct Root {
    base::TempDir directory;
    std::string root = directory / "root";
    Root() {
        base::make_directories(root + "/etc/deep");
        base::write_durable(root + "/etc/file", "inside");
        base::write_durable(directory / "secret", "outside");
        fs::create_symlink("/etc", root + "/absolute");
        fs::create_symlink("../../..", root + "/up");
        fs::create_symlink(directory / "secret", root + "/leak");
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(volume_store)

BOOST_AUTO_TEST_CASE(volumes_survive_a_restart) {
    const base::TempDir directory;
    std::string anonymous;
    {
        VolumeStore store(directory / "volumes");
        BOOST_TEST(store.create("data", {{"a", "b"}}).fresh);
        BOOST_TEST(!store.create("data", {}).fresh);
        anonymous = store.create("", {}).volume.name;
        store.set_remove_with(anonymous, "someone");
        base::write_durable(store.find("data")->directory + "/file", "kept");
    }
    base::make_directories(directory / "volumes/.half-removed/_data");
    VolumeStore store(directory / "volumes");
    BOOST_REQUIRE(store.find("data"));
    BOOST_TEST(store.find("data")->labels.at("a") == "b");
    BOOST_TEST(base::read_file(store.find("data")->directory + "/file") == "kept");
    BOOST_TEST(store.find(anonymous)->anonymous);
    BOOST_TEST(store.find(anonymous)->remove_with == "someone");
    BOOST_TEST(store.list().size() == 2U);
    BOOST_TEST(!fs::exists(directory / "volumes/.half-removed"));
}

BOOST_AUTO_TEST_CASE(names_are_no_paths) {
    const base::TempDir directory;
    VolumeStore store(directory / "volumes");
    for (const char* name : {"../x", "a/b", ".hidden", "-x", "a b"})
        BOOST_CHECK_THROW(store.create(name, {}), base::Error);
    BOOST_CHECK_THROW(store.remove("nothing"), base::Error);
    store.create("gone", {});
    store.remove("gone");
    BOOST_TEST(!store.find("gone"));
    BOOST_TEST(fs::is_empty(directory / "volumes"));
}

BOOST_AUTO_TEST_CASE(a_damaged_volume_is_left_alone) {
    const base::TempDir directory;
    base::make_directories(directory / "volumes/odd/_data");
    base::write_durable(directory / "volumes/odd/volume.json", "{");
    const VolumeStore store(directory / "volumes");
    BOOST_TEST(store.list().empty());
    BOOST_TEST(fs::exists(directory / "volumes/odd/_data"));
}

BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_SUITE(rootfs_path)

BOOST_FIXTURE_TEST_CASE(paths_are_found_as_docker_cp_means_them, Root) {
    const auto file = find_in_rootfs(root, "/etc/file");
    BOOST_REQUIRE(file);
    BOOST_TEST(file->shown_name == "file");
    BOOST_TEST(file->archive_name == "file");
    BOOST_TEST(S_ISREG(file->status.st_mode));
    BOOST_TEST(!file->open_directory());
    const auto directory_itself = find_in_rootfs(root, "/etc");
    BOOST_TEST(directory_itself->archive_name == "etc");
    BOOST_TEST(static_cast<bool>(directory_itself->open_directory()));
    const auto content = find_in_rootfs(root, "/etc/.");
    BOOST_TEST(content->archive_name == ".");
    BOOST_TEST(content->shown_name == "etc");
    BOOST_TEST(find_in_rootfs(root, "/")->archive_name == ".");
    BOOST_TEST(find_in_rootfs(root, "/absolute/file")->shown_name == "file");
    BOOST_TEST(!find_in_rootfs(root, "/etc/nothing"));
    BOOST_TEST(!find_in_rootfs(root, "/etc/file/below"));
    BOOST_TEST(!find_in_rootfs(root, "/etc/file/"));
}

BOOST_FIXTURE_TEST_CASE(nothing_outside_is_reached, Root) {
    const auto link = find_in_rootfs(root, "/leak");
    BOOST_REQUIRE(link);
    BOOST_TEST(S_ISLNK(link->status.st_mode)); // the link, not what it names
    BOOST_TEST(link->link_target == directory / "secret");
    BOOST_TEST(!find_in_rootfs(root, "/leak/"));
    BOOST_TEST(!find_in_rootfs(root, "/up/secret"));
    BOOST_TEST(!find_in_rootfs(root, "/../secret"));
    BOOST_TEST(!find_in_rootfs(root, "/../../" + directory.path() + "/secret"));
    BOOST_TEST(find_in_rootfs(root, "/up/etc/file")->shown_name == "file");
    BOOST_TEST(find_in_rootfs(root, "/etc/..")->archive_name == ".");
}

BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_SUITE(trees)

BOOST_FIXTURE_TEST_CASE(a_tar_has_what_the_tree_has, Root) {
    fs::create_hard_link(root + "/etc/file", root + "/etc/same");
    const std::string odd = "\xff\xfe name";
    base::write_durable(root + "/" + odd, "odd");
    std::string tar;
    const base::UniqueFd fd = base::open_file(directory.path(), O_RDONLY | O_DIRECTORY);
    TarWriter writer([&](std::string_view data) { tar += data; });
    writer.add_tree(fd.get(), "root", "tree");
    writer.finish();
    base::RunOptions options;
    options.input = tar;
    const std::string list = base::run_checked({"tar", "--quoting-style=escape", "-tvf", "-"}, options);
    for (const char* part : {"tree/etc/deep/", "tree/etc/file", "tree/etc/same link to tree/etc/file",
                             "tree/up -> ../../..", "tree/\\377\\376 name"})
        BOOST_TEST(list.find(part) != std::string::npos, part << " in " << list);
}

BOOST_FIXTURE_TEST_CASE(a_sink_that_fails_ends_the_writing, Root) {
    const base::UniqueFd fd = base::open_file(directory.path(), O_RDONLY | O_DIRECTORY);
    TarWriter writer([](std::string_view) { throw base::Error("the client is gone"); });
    BOOST_CHECK_EXCEPTION((writer.add_tree(fd.get(), "root", "tree"), writer.finish()), base::Error,
                          [](const base::Error& error) { return std::string(error.what()) == "the client is gone"; });
}

BOOST_FIXTURE_TEST_CASE(sizes_count_hard_links_once, Root) {
    const std::int64_t before = directory_size(root);
    BOOST_TEST(before == 6);
    fs::create_hard_link(root + "/etc/file", root + "/etc/same");
    BOOST_TEST(directory_size(root) == before);
    BOOST_TEST(directory_size(root + "/nothing") == 0);
}

BOOST_AUTO_TEST_SUITE_END()
