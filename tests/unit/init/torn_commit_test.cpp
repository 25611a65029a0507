#include "torn_commit.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstring>

#include "base/files.hpp"
#include "base/process.hpp"

namespace {

constexpr std::size_t block = 4096;

/// A file system with a committed transaction in its journal, made by debugfs.
struct Image {
    base::TempDir directory;
    std::string path = directory / "image";

    Image() {
        base::run_checked({"truncate", "-s", "16M", path});
        base::run_checked({"mke2fs", "-q", "-t", "ext4", "-b", "4096", path});
        base::write_durable(directory / "content", std::string(2 * block, 'n'));
        base::write_durable(directory / "requests", fmt::format("jo -c -v 3\njw -b 3000,3001 {}\njw -b 3000 {}\njc\n",
                                                                directory / "content", directory / "content"));
        base::run_checked({"debugfs", "-w", "-f", directory / "requests", path});
    }
    std::string bytes() const { return base::read_file(path, std::size_t{64} << 20U); }
    /// Commit blocks in the order of their place.
    std::vector<std::size_t> commits() const {
        const std::string all = bytes();
        std::vector<std::size_t> found;
        for (std::size_t at = 0; at < all.size(); at += block)
            if (std::memcmp(&all[at], "\xc0\x3b\x39\x98\0\0\0\x02", 8) == 0)
                found.push_back(at);
        return found;
    }
    /// As if `sectors` of it had been written over what an earlier round had left there.
    void tear(std::size_t commit, std::size_t sectors) const {
        std::string all = bytes();
        std::fill_n(all.begin() + static_cast<std::ptrdiff_t>(commit + sectors * 512),
                    static_cast<std::ptrdiff_t>(block - sectors * 512), 'o');
        base::write_durable(path, all);
    }
    bool mend() const { return init::mend_torn_commit(path.c_str()); }
};

} // namespace

BOOST_AUTO_TEST_SUITE(torn_commit)

BOOST_AUTO_TEST_CASE(the_last_commit_is_completed) {
    for (const std::size_t sectors : {1U, 4U, 7U}) {
        const Image image;
        const std::string whole = image.bytes();
        const std::vector<std::size_t> commits = image.commits();
        BOOST_TEST_REQUIRE(commits.size() == 2U);
        image.tear(commits.back(), sectors);
        BOOST_TEST((image.bytes() != whole));
        BOOST_TEST(image.mend());
        BOOST_TEST((image.bytes() == whole));
        BOOST_TEST(!image.mend());
    }
}

BOOST_AUTO_TEST_CASE(what_is_whole_is_left_alone) {
    const Image image;
    const std::string whole = image.bytes();
    BOOST_TEST(!image.mend());
    BOOST_TEST((image.bytes() == whole));
}

BOOST_AUTO_TEST_CASE(other_damage_is_not_taken_for_a_tear) {
    const Image image;
    std::string all = image.bytes();
    all[image.commits().back() + 50] ^= 1; // the time, in the header
    base::write_durable(image.path, all);
    BOOST_TEST(!image.mend());
    BOOST_TEST((image.bytes() == all));
}

BOOST_AUTO_TEST_CASE(without_a_journal_there_is_nothing) {
    const base::TempDir directory;
    const std::string path = directory / "image";
    base::run_checked({"truncate", "-s", "16M", path});
    base::run_checked({"mke2fs", "-q", "-t", "ext4", "-b", "4096", "-O", "^has_journal", path});
    BOOST_TEST(!init::mend_torn_commit(path.c_str()));
    base::write_durable(path, std::string(8192, 'x'));
    BOOST_TEST(!init::mend_torn_commit(path.c_str()));
    BOOST_TEST(!init::mend_torn_commit("/nowhere"));
}

BOOST_AUTO_TEST_SUITE_END()
