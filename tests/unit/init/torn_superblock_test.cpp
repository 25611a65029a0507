#include "torn_superblock.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>

#include "base/files.hpp"
#include "base/process.hpp"

namespace {

using Superblock = std::array<std::uint8_t, init::ext4_superblock_size>;
constexpr std::size_t half = 512;

struct Image {
    base::TempDir directory;
    std::string path = directory / "image";

    explicit Image(const std::vector<std::string>& options = {}) {
        base::run_checked({"truncate", "-s", "16M", path});
        std::vector<std::string> argv = {"mke2fs", "-q", "-t", "ext4", "-b", "4096"};
        argv.insert(argv.end(), options.begin(), options.end());
        argv.push_back(path);
        base::run_checked(argv);
    }
    Superblock read() const {
        const std::string bytes = base::read_file(path, std::size_t{64} << 20U);
        Superblock superblock{};
        std::copy_n(bytes.begin() + init::ext4_superblock_offset, superblock.size(), superblock.begin());
        return superblock;
    }
    void write(const Superblock& superblock) const {
        std::string bytes = base::read_file(path, std::size_t{64} << 20U);
        std::copy(superblock.begin(), superblock.end(), bytes.begin() + init::ext4_superblock_offset);
        base::write_durable(path, bytes);
    }
    bool e2fsck_is_content() const { return base::run({"e2fsck", "-fn", path}).status.success(); }
};

/// What a cut between the sectors leaves of a later write.
Superblock torn(const Image& image) {
    Superblock superblock = image.read();
    base::run_checked({"debugfs", "-w", "-R", "set_super_value mtime 20261127", image.path});
    const Superblock later = image.read();
    BOOST_TEST_REQUIRE(!std::equal(later.begin(), later.begin() + half, superblock.begin()));
    std::copy_n(later.begin(), half, superblock.begin());
    image.write(superblock);
    return superblock;
}

} // namespace

BOOST_AUTO_TEST_SUITE(torn_superblock)

// e2fsprogs decides what a right checksum is, not our idea of it.
BOOST_AUTO_TEST_CASE(a_torn_one_is_mended) {
    const Image image;
    const Superblock before = torn(image);
    BOOST_TEST(!image.e2fsck_is_content());
    BOOST_TEST(init::mend_torn_superblock(image.path.c_str()));
    BOOST_TEST(image.e2fsck_is_content());
    const Superblock after = image.read();
    BOOST_TEST(std::equal(before.begin(), before.end() - 4, after.begin())); // nothing but the checksum
    BOOST_TEST(!init::mend_torn_superblock(image.path.c_str()));
}

BOOST_AUTO_TEST_CASE(a_whole_one_is_left_alone) {
    const Image image;
    const Superblock before = image.read();
    BOOST_TEST(!init::mend_torn_superblock(image.path.c_str()));
    BOOST_TEST((image.read() == before));
}

BOOST_AUTO_TEST_CASE(without_checksums_there_is_nothing_to_mend) {
    const Image image({"-O", "^metadata_csum"});
    torn(image);
    BOOST_TEST(!init::mend_torn_superblock(image.path.c_str()));
}

BOOST_AUTO_TEST_CASE(what_is_no_superblock_is_left_alone) {
    const Image image;
    const Superblock good = image.read();
    for (const std::size_t offset : {0x4, 0x18, 0x20, 0x28, 0x38, 0x58, 0x64, 0xe0, 0x175}) {
        Superblock bad = good;
        bad.at(0x3fc) ^= 1;
        std::fill_n(bad.begin() + static_cast<std::ptrdiff_t>(offset), 4, std::uint8_t{0});
        bad.at(0x18) = offset == 0x18 ? 7 : bad.at(0x18);
        const Superblock before = bad;
        BOOST_TEST(!init::mend_torn_superblock(std::span(bad)), "at " << offset);
        BOOST_TEST((bad == before));
    }
    Superblock noise{};
    noise.fill(0x5a);
    BOOST_TEST(!init::mend_torn_superblock(std::span(noise)));
    BOOST_TEST(!init::mend_torn_superblock("/nowhere"));
}

BOOST_AUTO_TEST_SUITE_END()
