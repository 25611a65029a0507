#include <boost/test/unit_test.hpp>

#include <fcntl.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "image_builder.hpp"
#include "images/image_archive.hpp"

using namespace engine;
using test::TarBuilder;

namespace {

struct Unpacked {
    explicit Unpacked(const std::string& tar, const ArchiveLimits& limits = {})
        : fd(base::open_file(directory.path(), O_RDONLY | O_DIRECTORY)),
          archive(
              [&tar, at = std::size_t{0}](char* buffer, std::size_t size) mutable {
                  const std::size_t count = std::min(size, tar.size() - at);
                  std::memcpy(buffer, tar.data() + at, count);
                  at += count;
                  return count;
              },
              fd.get(), limits) {}
    base::TempDir directory{"image-archive-test"};
    base::UniqueFd fd;
    ImageArchive archive;
};

std::string error_of(const std::string& tar, const ArchiveLimits& limits = {}) {
    try {
        Unpacked(tar, limits).archive.images();
    } catch (const base::Error& error) {
        return base::error_chain(error);
    }
    return {};
}

} // namespace

BOOST_AUTO_TEST_SUITE(image_archive)

BOOST_AUTO_TEST_CASE(docker_archives_name_configuration_layers_and_tags) {
    const std::string config = test::image_config({"one", "two"});
    const Unpacked unpacked(test::docker_archive(config, {"one", "two"}, {"a:1", "b:2"}));
    const auto images = unpacked.archive.images();
    BOOST_REQUIRE(images.size() == 1U);
    BOOST_TEST(images[0].config == config);
    BOOST_TEST(images[0].references.size() == 2U);
    BOOST_REQUIRE(images[0].layers.size() == 2U);
    BOOST_TEST(base::read_fd(unpacked.archive.open(images[0].layers[1]).get(), 100, "layer") == "two");
}

BOOST_AUTO_TEST_CASE(layers_that_are_links_to_others_are_found) {
    const std::string config = test::image_config({"one", "one"});
    const std::string tar = TarBuilder()
                                .file("x/layer.tar", "one")
                                .symlink("y/layer.tar", "../x/layer.tar")
                                .file("c", config)
                                .file("manifest.json", R"([{"Config":"c","Layers":["x/layer.tar","y/layer.tar"]}])")
                                .build();
    const Unpacked unpacked(tar);
    BOOST_TEST(base::read_fd(unpacked.archive.open("y/layer.tar").get(), 100, "layer") == "one");
}

BOOST_AUTO_TEST_CASE(links_lead_nowhere_but_into_the_archive) {
    const std::string config = test::image_config({"one"});
    const auto with = [&](const TarBuilder& builder) {
        return TarBuilder(builder)
            .file("c", config)
            .file("manifest.json", R"([{"Config":"c","Layers":["l"]}])")
            .build();
    };
    const Unpacked absolute(with(TarBuilder().symlink("l", "/etc/passwd")));
    BOOST_CHECK_THROW(absolute.archive.open("l"), base::Error);
    const Unpacked circle(with(TarBuilder().symlink("l", "m").symlink("m", "l")));
    BOOST_CHECK_THROW(circle.archive.open("l"), base::Error);
    BOOST_TEST(!error_of(with(TarBuilder().symlink("l", "../../etc/passwd"))).empty());
    BOOST_TEST(!error_of(with(TarBuilder().file("../l", "one"))).empty());
}

BOOST_AUTO_TEST_CASE(oci_layouts_are_checked_by_digest) {
    const std::string config = test::image_config({"one"});
    const std::string tar = test::oci_archive(config, {"one"}, "docker.io/library/x:1");
    const Unpacked unpacked(tar);
    const auto images = unpacked.archive.images();
    BOOST_REQUIRE(images.size() == 1U);
    BOOST_TEST(images[0].config == config);
    BOOST_TEST(images[0].references.at(0) == "docker.io/library/x:1");
    std::string changed = tar;
    const std::size_t at = changed.find("amd64");
    BOOST_REQUIRE(at != std::string::npos);
    changed[at] = 'A';
    BOOST_TEST(error_of(changed).find("has another content") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(only_images_that_run_here_are_taken_from_an_index) {
    const auto index = [](const std::string& platform) {
        const std::string config = test::image_config({});
        const std::string manifest =
            fmt::format(R"({{"config":{{"digest":"sha256:{}"}},"layers":[]}})", base::sha256_hex(config));
        return TarBuilder()
            .file("blobs/sha256/" + base::sha256_hex(config), config)
            .file("blobs/sha256/" + base::sha256_hex(manifest), manifest)
            .file("index.json", fmt::format(R"({{"manifests":[{{"digest":"sha256:{}","platform":{}}}]}})",
                                            base::sha256_hex(manifest), platform))
            .build();
    };
    BOOST_TEST(Unpacked(index(R"({"os":"linux","architecture":"amd64"})")).archive.images().size() == 1U);
    BOOST_TEST(error_of(index(R"({"os":"linux","architecture":"s390x"})")).find("no image for") != std::string::npos);
    BOOST_TEST(error_of(index(R"({"os":"unknown","architecture":"unknown"})")).find("no image for") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_configuration_that_is_not_what_its_name_says_is_refused) {
    const std::string name = std::string(64, 'a') + ".json";
    const std::string tar = TarBuilder()
                                .file(name, test::image_config({}))
                                .file("manifest.json", "[{\"Config\":\"" + name + "\",\"Layers\":[]}]")
                                .build();
    BOOST_TEST(error_of(tar).find("has another content") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(limits_hold) {
    const std::string tar = test::docker_archive(test::image_config({"one"}), {"one"}, {"a:1"});
    BOOST_TEST(error_of(tar).empty());
    BOOST_TEST(error_of(tar, {.files = 2}).find("more than 2 entries") != std::string::npos);
    BOOST_TEST(error_of(tar, {.bytes = 100}).find("too large") != std::string::npos);
    BOOST_TEST(!error_of(tar, {.json_bytes = 20}).empty());
}

BOOST_AUTO_TEST_CASE(what_is_no_image_archive_says_so) {
    BOOST_TEST(error_of(TarBuilder().file("a", "b").build()).find("neither manifest.json") != std::string::npos);
    BOOST_TEST(!error_of("not a tar").empty());
    BOOST_TEST(!error_of("").empty());
    BOOST_TEST(!error_of(TarBuilder().file("manifest.json", "[]").build()).empty());
    BOOST_TEST(!error_of(TarBuilder().file("manifest.json", "[{}]").build()).empty());
    BOOST_TEST(error_of(TarBuilder().file("a", "1").file("./a", "2").build()).find("twice") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
