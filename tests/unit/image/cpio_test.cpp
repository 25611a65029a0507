#include <sys/stat.h>

#include <boost/test/unit_test.hpp>

#include "base/process.hpp"
#include "image/archive.hpp"
#include "image/cpio.hpp"
#include "test_files.hpp"

namespace {

std::string sample() {
    image::CpioWriter cpio;
    cpio.add_directory("lib");
    cpio.add_file("init",
                  std::string("\x7f"
                              "ELF\0rest",
                              9),
                  0755);
    cpio.add_file("lib/odd", "12345");
    cpio.add_file("empty", "");
    cpio.add_symlink("link", "lib/odd");
    cpio.add_character_device("console", 5, 1);
    return cpio.finish();
}

} // namespace

BOOST_AUTO_TEST_SUITE(cpio)

BOOST_AUTO_TEST_CASE(libarchive_reads_what_was_written) {
    auto files = read_archive(sample());
    BOOST_TEST(files.size() == 6U);
    BOOST_TEST(files["init"].content == std::string("\x7f"
                                                    "ELF\0rest",
                                                    9));
    BOOST_TEST(files["init"].mode == (S_IFREG | 0755U));
    BOOST_TEST(files["lib"].mode == (S_IFDIR | 0755U));
    BOOST_TEST(files["lib/odd"].content == "12345");
    BOOST_TEST(files["empty"].content.empty());
    BOOST_TEST(files["link"].link == "lib/odd");
    BOOST_TEST(files["console"].mode == (S_IFCHR | 0600U));
    for (const auto& [path, file] : files) {
        BOOST_TEST(file.uid == 0);
        BOOST_TEST(file.gid == 0);
        BOOST_TEST(file.mtime == 0);
    }
}

BOOST_AUTO_TEST_CASE(the_kernels_layout) {
    const std::string bytes = sample();
    BOOST_TEST(bytes.substr(0, 6) == "070701");
    BOOST_TEST(bytes.size() % 512 == 0U);
    // Each header, with its name, and each content begins at a multiple of four.
    std::size_t at = 0;
    int entries = 0;
    for (std::string name; name != "TRAILER!!!"; ++entries) {
        BOOST_REQUIRE(bytes.compare(at, 6, "070701") == 0);
        const auto field = [&](std::size_t n) {
            return std::stoul(bytes.substr(at + 6 + 8 * n, 8), nullptr, 16);
        };
        const std::size_t size = field(6), name_size = field(11);
        name = bytes.substr(at + 110, name_size - 1);
        at = (at + 110 + name_size + 3) / 4 * 4;
        at = (at + size + 3) / 4 * 4;
    }
    BOOST_TEST(entries == 7);
}

BOOST_AUTO_TEST_CASE(the_same_input_gives_the_same_bytes) {
    BOOST_TEST(sample() == sample());
}

BOOST_AUTO_TEST_CASE(paths_are_relative) {
    image::CpioWriter cpio;
    BOOST_CHECK_THROW(cpio.add_file("/init", ""), base::Error);
    BOOST_CHECK_THROW(cpio.add_file("", ""), base::Error);
}

BOOST_AUTO_TEST_CASE(zstd_frames_unpack) {
    const std::string data = sample() + std::string(300000, 'x');
    const std::string packed = image::compress_zstd(data, 3);
    BOOST_TEST(packed.substr(0, 4) == "\x28\xb5\x2f\xfd");
    BOOST_TEST(packed.size() < data.size() / 10);
    BOOST_TEST(read_archive(packed)["lib/odd"].content == "12345");
}

BOOST_AUTO_TEST_SUITE_END()
