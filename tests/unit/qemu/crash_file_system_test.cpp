// The checker's view of a file system: the journal's replay beside e2fsck's, and what GRUB would boot from disks that
// are broken in every way it has to survive or we have to see.
#include <boost/test/unit_test.hpp>

#include <unistd.h>

#include <cstring>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/grub_env.hpp"
#include "base/process.hpp"
#include "base/sha256.hpp"
#include "crash/fsck.hpp"
#include "crash/grub_view.hpp"
#include "crash/journal.hpp"

namespace {

namespace fs = std::filesystem;

struct Boot {
    base::TempDir directory{"crash-test"};
    std::string tree = directory / "tree";

    void put(const std::string& path, const std::string& content) const {
        base::make_directories(fs::path(tree + path).parent_path().string());
        base::write_durable(tree + path, content);
    }
    std::string kernel_directory(const std::string& kernel) const {
        return "/ostree/atoll-" + base::sha256_hex(kernel + "initramfs");
    }
    void entry(int version, const std::string& revision, const std::string& kernel,
               const std::string& loader = "/loader.1") const {
        const std::string place = kernel_directory(kernel);
        put(place + "/vmlinuz", kernel);
        put(place + "/initramfs", "initramfs");
        put(fmt::format("{}/entries/ostree-{}-atoll.conf", loader, version),
            fmt::format("title Atoll\nversion {}\noptions root=LABEL=r ostree=/ostree/boot.1/atoll/{} atoll.rev={}\n"
                        "linux {}/vmlinuz\ninitrd {}/initramfs\n",
                        version, version, revision, place, place));
    }
    void environment(const std::map<std::string, std::string>& values) const {
        base::GrubEnv env;
        for (const auto& [name, value] : values)
            env.set(name, value);
        put("/grub/grubenv", env.serialize());
    }
    /// Two entries: 2 is on trial, 1 is good.
    Boot() {
        entry(1, "aa", "old kernel");
        entry(2, "bb", "new kernel");
        base::check(::symlink("loader.1", (tree + "/loader").c_str()), "symlink");
        environment({{"ok", "aa"}});
    }
    std::string image(const std::string& options = "") const {
        std::string path = directory / "image";
        base::run_checked({"truncate", "-s", "16M", path});
        base::run_checked({"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O",
                           "^metadata_csum_seed,^orphan_file" + options, "-d", tree, path});
        return path;
    }
    crash::GrubView view(bool loader_only = false) const {
        const crash::MappedFile file(image());
        const crash::Disk disk(file.bytes(), {});
        const crash::Ext4 boot(disk, whole(file), crash::Ext4::Reader::grub);
        crash::KernelDigests kernels;
        return crash::view_as_grub(boot, kernels, loader_only);
    }
    static crash::Extent whole(const crash::MappedFile& file) {
        return {.name = "image", .first = 0, .sectors = file.bytes().size() / crash::sector_size};
    }
};

std::string revision(const crash::BootEntry* entry) {
    return entry == nullptr ? "nothing" : entry->revision + (entry->damage.empty() ? "" : " damaged");
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(crash_grub_view, Boot)

BOOST_AUTO_TEST_CASE(the_newest_is_tried_and_the_good_one_is_behind_it) {
    const crash::GrubView seen = view();
    BOOST_TEST(seen.damage == "");
    BOOST_TEST(seen.entries.size() == 2U);
    BOOST_TEST(revision(seen.next()) == "bb");
    BOOST_TEST(seen.next()->ostree == "/ostree/boot.1/atoll/2");
    BOOST_TEST(revision(seen.fallback()) == "aa");
}

BOOST_AUTO_TEST_CASE(tries_are_counted) {
    environment({{"ok", "aa"}, {"trial", "bb"}, {"tries", "1"}});
    BOOST_TEST(revision(view().next()) == "bb");
    environment({{"ok", "aa"}, {"trial", "bb"}, {"tries", "0"}});
    BOOST_TEST(revision(view().next()) == "aa");
    environment({{"ok", "aa"}, {"trial", "other"}, {"tries", "0"}});
    BOOST_TEST(revision(view().next()) == "bb");
    environment({{"ok", "bb"}, {"trial", "bb"}, {"tries", "0"}});
    BOOST_TEST(revision(view().next()) == "bb");
}

BOOST_AUTO_TEST_CASE(what_could_not_be_started_is_passed_over_once) {
    environment({{"ok", "aa"}, {"failed", "bb"}});
    BOOST_TEST(revision(view().next()) == "aa");
    environment({{"ok", "bb"}, {"failed", "bb"}});
    BOOST_TEST(revision(view().next()) == "aa");
    environment({{"ok", "aa"}, {"failed", "other"}});
    BOOST_TEST(revision(view().next()) == "bb");
}

BOOST_AUTO_TEST_CASE(a_missing_kernel_is_passed_over) {
    ::unlink((tree + kernel_directory("new kernel") + "/initramfs").c_str());
    BOOST_TEST(revision(view().next()) == "aa");
}

BOOST_AUTO_TEST_CASE(a_damaged_kernel_is_seen) {
    put(kernel_directory("new kernel") + "/vmlinuz", "new kerneL");
    BOOST_TEST(revision(view().next()) == "bb damaged");
    BOOST_TEST(revision(view().fallback()) == "aa");
}

BOOST_AUTO_TEST_CASE(a_loader_that_leads_nowhere) {
    ::unlink((tree + "/loader").c_str());
    base::check(::symlink("loader.0", (tree + "/loader").c_str()), "symlink");
    BOOST_TEST(revision(view().next()) == "bb");
    BOOST_TEST(revision(view(true).next()) == "nothing");
}

BOOST_AUTO_TEST_CASE(entries_that_are_no_entries) {
    put("/loader.1/entries/ostree-3-atoll.conf", "");
    put("/loader.1/entries/ostree-4-atoll.conf", std::string(4096, '\0'));
    put("/loader.1/entries/ostree-5-atoll.conf", "version 5\nlinux /vmlinuz\n");
    put("/loader.1/entries/ostree-6-atoll.conf", "version six\nlinux /a\ninitrd /b\noptions c\n");
    put("/loader.1/entries/other.conf", "version 7\nlinux /a\ninitrd /b\noptions c\n");
    BOOST_TEST(view().entries.size() == 2U);
    base::remove_tree(tree + "/loader.1");
    BOOST_TEST(revision(view().next()) == "nothing");
    BOOST_TEST(revision(view().fallback()) == "nothing");
}

BOOST_AUTO_TEST_CASE(a_broken_environment_block) {
    put("/grub/grubenv", std::string(1024, '\0'));
    const crash::GrubView seen = view();
    BOOST_TEST(seen.damage.find("grubenv") != std::string::npos);
    BOOST_TEST(revision(seen.next()) == "aa"); // no try can be counted
    base::GrubEnv copy;
    copy.set("ok", "bb");
    put("/grub/good", copy.serialize());
    BOOST_TEST(revision(view().next()) == "bb"); // it is known to be good
    put("/grub/good", std::string(1024, 'x'));
    BOOST_TEST(revision(view().next()) == "aa");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(crash_journal, Boot)

namespace {

/// A file system whose journal holds blocks that are not in their place yet. `options` of debugfs's journal_open.
std::string dirty_image(const Boot& boot, const std::string& open) {
    std::string path = boot.image();
    std::string content(4096, 'n');
    content += std::string("\xc0\x3b\x39\x98", 4) + std::string(4092, 'e'); // has to be escaped in the journal
    content += std::string(4096, 'r');
    base::write_durable(boot.directory / "blocks", content);
    base::write_durable(boot.directory / "requests",
                        fmt::format("jo {}\njw -b 3000,3001,3002 {}\njw -b 3000 {}\n"
                                    "jw -r 3002\njc\n",
                                    open, boot.directory / "blocks", boot.directory / "blocks"));
    base::run_checked({"debugfs", "-w", "-f", boot.directory / "requests", path});
    return path;
}

} // namespace

BOOST_AUTO_TEST_CASE(replays_as_e2fsck_does) {
    for (const char* open : {"-c", "-c -v 3"}) {
        const std::string dirty = dirty_image(*this, open);
        const std::string recovered = directory / "recovered";
        crash::copy_sparse(dirty, 0, fs::file_size(dirty), recovered);
        base::run({"e2fsck", "-y", "-E", "journal_only", recovered});
        const crash::MappedFile before(dirty);
        const crash::MappedFile after(recovered);
        crash::Disk disk(before.bytes(), {});
        const crash::Journal journal(disk, whole(before));
        const crash::Journal::Outcome outcome = journal.recover(disk);
        BOOST_TEST(outcome.transactions >= 2U);
        BOOST_TEST(outcome.blocks >= 2U);
        for (const std::uint64_t block : {3000U, 3001U, 3002U})
            for (std::uint64_t i = 0; i < 8; ++i) {
                const std::uint64_t sector = block * 8 + i;
                BOOST_TEST(std::memcmp(disk.sector(sector), after.bytes().data() + sector * 512, 512) == 0,
                           open << " block " << block);
            }
        BOOST_TEST(disk.sector(3001 * 8)[0] == 0xc0);
        BOOST_TEST(journal.recover(disk).blocks == 0U); // clean now
    }
}

BOOST_AUTO_TEST_CASE(what_was_not_committed_is_not_replayed) {
    const std::string dirty = dirty_image(*this, "-c -v 3");
    const crash::MappedFile file(dirty);
    crash::Disk disk(file.bytes(), {});
    const crash::Journal journal(disk, whole(file));
    // Without the first commit block: no transaction is whole.
    static const std::vector<std::uint8_t> zeros(512);
    const std::vector<std::uint64_t> places =
        crash::Ext4(disk, whole(file), crash::Ext4::Reader::kernel).blocks(crash::Ext4::journal);
    for (const std::uint64_t place : places)
        if (disk.sector(place * 8)[0] == 0xc0 && disk.sector(place * 8)[7] == 2) {
            disk.write(place * 8, disk.contents().number(zeros.data()));
            break;
        }
    BOOST_TEST(journal.recover(disk).transactions == 0U);
}

BOOST_AUTO_TEST_CASE(damage_in_a_committed_transaction_is_refused) {
    const std::string dirty = dirty_image(*this, "-c -v 3");
    const crash::MappedFile file(dirty);
    static const std::vector<std::uint8_t> other(512, 'x');
    crash::Disk disk(file.bytes(), {});
    const crash::Journal journal(disk, whole(file));
    const std::vector<std::uint64_t> places =
        crash::Ext4(disk, whole(file), crash::Ext4::Reader::kernel).blocks(crash::Ext4::journal);
    std::size_t refused = 0;
    for (std::size_t block = 0; block < 3; ++block) { // superblock; descriptor; first data block, in its last sector
        const std::size_t mark = disk.mark();
        disk.write(places[block] * 8 + (block == 0 ? 0 : 7), disk.contents().number(other.data()));
        try {
            journal.recover(disk);
        } catch (const base::Error&) {
            ++refused;
        }
        disk.take_back(mark);
    }
    BOOST_TEST(refused == 3U);
}

BOOST_AUTO_TEST_SUITE_END()
