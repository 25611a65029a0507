// The image store on a real file system: what a layer says is what overlayfs sees.
#include <boost/test/unit_test.hpp>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "engine/local_image_store.hpp"
#include "image_builder.hpp"

namespace {

using namespace engine;
using test::TarBuilder;

LocalImageStore::Source source_of(const std::string& text) {
    return [text, at = std::size_t{0}](char* buffer, std::size_t size) mutable {
        const std::size_t count = std::min(size, text.size() - at);
        std::memcpy(buffer, text.data() + at, count);
        at += count;
        return count;
    };
}

struct Store {
    base::TempDir directory{"image-store-test"};
    LocalImageStore store{directory / "engine"};

    LoadedImage load(const std::string& archive) { return store.load(source_of(archive)).at(0); }
    /// An image of these layers under the name "test".
    ImageRecord load_layers(const std::vector<std::string>& layers) {
        load(test::docker_archive(test::image_config(layers), layers, {"test:latest"}));
        return *store.find("test");
    }
    std::size_t layer_count() const { return count("layers"); }
    std::size_t count(const std::string& name) const {
        const std::filesystem::directory_iterator entries(directory / ("engine/" + name));
        return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
    }
};

std::string message_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const std::exception& error) {
        return base::error_chain(error);
    }
    return "no error";
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

std::string compress(const std::string& program, const std::string& data) {
    base::RunOptions options;
    options.input = data;
    return base::run_checked({program, "-c"}, options);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(image_store, Store)

BOOST_AUTO_TEST_CASE(a_docker_archive_is_loaded_with_all_its_metadata) {
    const std::string layer = TarBuilder()
                                  .directory("bin")
                                  .add({.name = "bin/tool", .content = "x", .mode = 04755, .uid = 7, .gid = 8})
                                  .hardlink("bin/same", "bin/tool")
                                  .symlink("bin/link", "/bin/tool")
                                  .add({.name = "null", .type = '3', .mode = 0666, .major = 1, .minor = 3})
                                  .add({.name = "fifo", .type = '6', .mode = 0600})
                                  .add({.name = "timed", .pax = {{"mtime", "1500000000.123456789"}}})
                                  .add({.name = "marked", .pax = {{"SCHILY.xattr.user.colour", "blue"}}})
                                  .add({.name = "old", .type = '5', .mode = 01777, .mtime = 1'234'567})
                                  .file("old/file", "new")
                                  .build();
    const ImageRecord image = load_layers({layer});
    BOOST_TEST(image.references == std::vector<std::string>{"docker.io/library/test:latest"},
               boost::test_tools::per_element());
    BOOST_TEST(image.size == 4U);
    const std::string root = image.info.lower_directories.at(0);
    struct stat status {};
    BOOST_REQUIRE(::stat((root + "/bin/tool").c_str(), &status) == 0);
    BOOST_TEST((status.st_mode & 07777) == 04755U);
    BOOST_TEST(status.st_uid == 7U);
    BOOST_TEST(status.st_gid == 8U);
    BOOST_TEST(status.st_nlink == 2U);
    BOOST_TEST(std::filesystem::read_symlink(root + "/bin/link").string() == "/bin/tool");
    BOOST_REQUIRE(::stat((root + "/null").c_str(), &status) == 0);
    BOOST_TEST(S_ISCHR(status.st_mode));
    BOOST_TEST(status.st_rdev == makedev(1, 3));
    BOOST_REQUIRE(::stat((root + "/fifo").c_str(), &status) == 0);
    BOOST_TEST(S_ISFIFO(status.st_mode));
    BOOST_REQUIRE(::stat((root + "/timed").c_str(), &status) == 0);
    BOOST_TEST(status.st_mtim.tv_sec == 1'500'000'000);
    BOOST_TEST(status.st_mtim.tv_nsec == 123'456'789);
    char value[16] = {};
    BOOST_TEST(::getxattr((root + "/marked").c_str(), "user.colour", value, sizeof value) == 4);
    BOOST_TEST(std::string(value) == "blue");
    BOOST_REQUIRE(::stat((root + "/old").c_str(), &status) == 0);
    BOOST_TEST(status.st_mtim.tv_sec == 1'234'567); // in spite of the file written into it after
    BOOST_TEST((status.st_mode & 07777) == 01777U);
}

BOOST_AUTO_TEST_CASE(every_compression_gives_the_same_image) {
    const std::string layer = TarBuilder().file("file", std::string(100'000, 'a')).build();
    const std::string config = test::image_config({layer});
    const std::string id = "sha256:" + base::sha256_hex(config);
    // The codecs are libarchive's; the programs only make the input.
    for (const char* program : {"gzip", "zstd", "xz"}) {
        BOOST_TEST_CONTEXT(program) {
            BOOST_TEST(load(test::oci_archive(config, {compress(program, layer)}, "docker.io/library/oci:1")).id == id);
            BOOST_TEST(load(compress(program, test::docker_archive(config, {layer}, {"plain:1"}))).id == id);
            store.remove(id);
        }
    }
    BOOST_TEST(load(test::oci_archive(config, {compress("gzip", layer)}, "docker.io/library/oci:1")).references.at(0) ==
               "docker.io/library/oci:1");
}

BOOST_AUTO_TEST_CASE(whiteouts_hide_what_is_below) {
    const std::string lower = TarBuilder()
                                  .directory("d")
                                  .file("d/gone", "1")
                                  .file("d/kept", "2")
                                  .directory("o")
                                  .file("o/hidden", "3")
                                  .build();
    const std::string upper = TarBuilder()
                                  .directory("d")
                                  .file("d/.wh.gone", "")
                                  .directory("o")
                                  .file("o/.wh..wh..opq", "")
                                  .file("o/new", "4")
                                  .file(".wh..wh.plnk", "")
                                  .build();
    const ImageRecord image = load_layers({lower, upper});
    BOOST_REQUIRE(image.info.lower_directories.size() == 2U);
    const std::string options = "lowerdir=" + image.info.lower_directories[0] + ":" + image.info.lower_directories[1];
    const std::string target = directory / "merged";
    base::make_directories(target);
    BOOST_REQUIRE(::mount("overlay", target.c_str(), "overlay", MS_RDONLY, options.c_str()) == 0);
    BOOST_TEST(!std::filesystem::exists(target + "/d/gone"));
    BOOST_TEST(std::filesystem::exists(target + "/d/kept"));
    BOOST_TEST(!std::filesystem::exists(target + "/o/hidden"));
    BOOST_TEST(std::filesystem::exists(target + "/o/new"));
    BOOST_TEST(!std::filesystem::exists(target + "/.wh..wh.plnk"));
    BOOST_TEST(::umount(target.c_str()) == 0);
}

BOOST_AUTO_TEST_CASE(a_layer_cannot_write_outside_of_its_directory) {
    const std::string outside = directory / "outside";
    base::make_directories(outside);
    const auto refused = [&](const TarBuilder& tar) {
        return message_of([&] { load_layers({tar.build()}); });
    };
    BOOST_TEST(contains(refused(TarBuilder().file("../../../../outside/a", "x")), "a path with \"..\""));
    BOOST_TEST(contains(refused(TarBuilder().file("a/../../b", "x")), "a path with \"..\""));
    BOOST_TEST(contains(refused(TarBuilder().hardlink("passwd", "../../../../../../etc/passwd")), "\"..\""));
    BOOST_TEST(contains(refused(TarBuilder().hardlink("passwd", "/etc/passwd")), "No such file"));
    BOOST_TEST(contains(refused(TarBuilder().file(".wh..", "")), "whiteout"));
    BOOST_TEST(
        contains(refused(TarBuilder().add({.name = "f", .pax = {{"SCHILY.xattr.trusted.overlay.redirect", "/"}}})),
                 "may not set"));
    BOOST_TEST(contains(refused(TarBuilder().add({.name = "f", .pax = {{"uid", "4294967295"}}})), "owner"));
    BOOST_TEST(layer_count() == 0U);
    BOOST_TEST(count("incoming") == 0U);
    // A symbolic link out of the directory is kept as text; what goes through it stays inside.
    const ImageRecord image =
        load_layers({TarBuilder().symlink("way", outside).directory(outside.substr(1)).file("way/a", "x").build()});
    BOOST_TEST(std::filesystem::is_empty(outside));
    BOOST_TEST(std::filesystem::exists(image.info.lower_directories[0] + outside + "/a"));
}

BOOST_AUTO_TEST_CASE(a_name_that_changes_its_kind_leads_nowhere_else) {
    // "d" is a directory whose descriptor is kept, then a link: the file goes where the link leads, inside.
    const std::string layer = TarBuilder()
                                  .directory("d")
                                  .file("d/one", "1")
                                  .directory("e")
                                  .symlink("d", "e")
                                  .file("d/two", "2")
                                  .hardlink("e/two", "d/two")
                                  .build();
    const std::string root = load_layers({layer}).info.lower_directories[0];
    BOOST_TEST(std::filesystem::is_symlink(root + "/d"));
    BOOST_TEST(base::read_file(root + "/e/two") == "2");
    BOOST_TEST(!std::filesystem::exists(root + "/e/one"));
}

BOOST_AUTO_TEST_CASE(a_layer_that_is_not_the_one_named_is_refused) {
    const std::string layer = TarBuilder().file("file", "right").build();
    const std::string other = TarBuilder().file("file", "wrong").build();
    const std::string archive = test::docker_archive(test::image_config({layer}), {other}, {"test:latest"});
    BOOST_TEST(contains(message_of([&] { load(archive); }), "its content has the digest"));
    BOOST_TEST(!store.find("test"));
    BOOST_TEST(layer_count() == 0U);
    BOOST_TEST(count("images") == 0U);
    BOOST_TEST(count("incoming") == 0U);
}

BOOST_AUTO_TEST_CASE(a_broken_off_archive_leaves_nothing) {
    const std::string layer = TarBuilder().file("file", std::string(50'000, 'z')).build();
    const std::string archive = test::docker_archive(test::image_config({layer}), {layer}, {"test:latest"});
    for (const std::size_t length : {std::size_t{0}, std::size_t{300}, std::size_t{20'000}, archive.size() - 2048})
        BOOST_CHECK_THROW(load(archive.substr(0, length)), base::Error);
    BOOST_TEST(store.list().empty());
    BOOST_TEST(layer_count() == 0U);
    BOOST_TEST(count("incoming") == 0U);
}

BOOST_AUTO_TEST_CASE(images_survive_a_restart_and_half_made_things_do_not) {
    const ImageRecord before = load_layers({TarBuilder().file("file", "x").build()});
    store.tag("test", "registry.example:5000/a/b:c");
    base::make_directories(directory / "engine/incoming/install.abc/0/diff");
    base::make_directories(directory / ("engine/layers/" + std::string(64, 'a') + "/diff"));
    base::write_durable(directory / ("engine/layers/" + std::string(64, 'a') + "/layer.json"), R"({"size":1})");
    LocalImageStore again(directory / "engine");
    const auto after = again.find("registry.example:5000/a/b:c");
    BOOST_REQUIRE(after);
    BOOST_TEST(after->info.id == before.info.id);
    BOOST_TEST(after->references.size() == 2U);
    BOOST_TEST(after->info.lower_directories == before.info.lower_directories, boost::test_tools::per_element());
    BOOST_TEST(layer_count() == 1U); // the one no image has is gone
    BOOST_TEST(count("incoming") == 0U);
}

BOOST_AUTO_TEST_CASE(a_damaged_image_is_not_offered_and_takes_nothing_with_it) {
    const ImageRecord image = load_layers({TarBuilder().file("file", "x").build()});
    const std::string file = directory / ("engine/images/" + image.info.id.substr(7) + ".json");
    base::write_durable(file, base::read_file(file) + " ");
    LocalImageStore again(directory / "engine");
    BOOST_TEST(!again.find("test"));
    BOOST_TEST(std::filesystem::exists(file));
    BOOST_TEST(layer_count() == 1U);
}

BOOST_AUTO_TEST_CASE(images_are_found_by_name_id_and_prefix) {
    const ImageRecord image = load_layers({TarBuilder().file("file", "x").build()});
    const std::string hex = image.info.id.substr(7);
    for (const std::string& name :
         {std::string("test"), std::string("test:latest"), std::string("library/test"),
          std::string("docker.io/library/test:latest"), image.info.id, hex, hex.substr(0, 12)})
        BOOST_TEST(store.find(name).has_value(), name);
    for (const std::string& name : {std::string("test:other"), std::string("tes"), std::string(64, '0'), std::string(),
                                    std::string("../x"), "sha256:" + std::string(64, '0')})
        BOOST_TEST(!store.find(name).has_value(), name);
}

BOOST_AUTO_TEST_CASE(removing_an_image_keeps_layers_that_others_have) {
    const std::string shared = TarBuilder().file("shared", "1").build();
    const std::string own = TarBuilder().file("own", "2").build();
    load(test::docker_archive(test::image_config({shared}), {shared}, {"base:1"}));
    load(test::docker_archive(test::image_config({shared, own}), {shared, own}, {"derived:1"}));
    BOOST_TEST(layer_count() == 2U);
    BOOST_TEST(store.remove(store.find("derived:1")->info.id).size() == 1U);
    BOOST_TEST(!store.find("derived:1"));
    BOOST_TEST(std::filesystem::exists(store.find("base:1")->info.lower_directories[0] + "/shared"));
    BOOST_TEST(store.remove(store.find("base:1")->info.id).size() == 1U);
    BOOST_TEST(layer_count() == 0U);
}

BOOST_AUTO_TEST_CASE(a_name_goes_over_to_the_newer_image) {
    const std::string one = TarBuilder().file("one", "1").build();
    const std::string two = TarBuilder().file("two", "2").build();
    const std::string first = load(test::docker_archive(test::image_config({one}), {one}, {"test:latest"})).id;
    const std::string second = load(test::docker_archive(test::image_config({two}), {two}, {"test:latest"})).id;
    BOOST_TEST(store.find("test")->info.id == second);
    BOOST_TEST(store.find(first)->references.empty());
    BOOST_TEST(store.untag("docker.io/library/test:latest"));
    BOOST_TEST(!store.untag("docker.io/library/test:latest"));
    BOOST_TEST(!store.find("test"));
    BOOST_TEST(store.list().size() == 2U);
}

BOOST_AUTO_TEST_CASE(names_in_other_alphabets_keep_their_bytes) {
    const std::string utf8 = "d\xc3\xa9j\xc3\xa0";
    const std::string latin1 = "caf\xe9";
    const std::string root = load_layers({TarBuilder()
                                              .file(utf8, "1")
                                              .file(latin1, "2")
                                              .add({.name = "x", .content = "3", .pax = {{"path", utf8 + "-pax"}}})
                                              .build()})
                                 .info.lower_directories[0];
    BOOST_TEST(std::filesystem::exists(root + "/" + utf8));
    BOOST_TEST(std::filesystem::exists(root + "/" + latin1));
    BOOST_TEST(std::filesystem::exists(root + "/" + utf8 + "-pax"));
}

BOOST_AUTO_TEST_SUITE_END()
