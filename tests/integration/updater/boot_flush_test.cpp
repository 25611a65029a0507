// What GRUB would find on /boot, which it reads without replaying the journal: after a deployment, and after one that
// was cut off. The image behind the loop device holds what has been written, and no more.
#include <boost/test/unit_test.hpp>

#include <linux/fs.h>
#include <sys/ioctl.h>

#include <csignal>

#include "base/error.hpp"
#include "rig.hpp"
#include "updater/sysroot.hpp"

using namespace updater_test;

namespace {

constexpr const char* second_revision = "0000000000000002";

struct Disk : Rig {
    Disk() : Rig(Boot::file_system) {
        install(publish({.signers = {&key}}));
        updater::flush_boot(paths.boot, paths.root);
    }

    /// debugfs does not replay the journal either.
    std::string debugfs(const std::string& request) const {
        return base::run_checked({"debugfs", "-c", "-R", request, boot_image});
    }
    std::vector<std::string> grub_list(const std::string& folder) const {
        std::vector<std::string> names;
        const std::string text = debugfs("ls -p " + folder); // "/inode/mode/uid/gid/name/size/" a line
        for (std::size_t start = 0; start < text.size();) {
            const std::size_t end = std::min(text.find('\n', start), text.size());
            std::vector<std::string> fields;
            for (std::size_t at = start; at < end;) {
                const std::size_t slash = std::min(text.find('/', at), end);
                fields.push_back(text.substr(at, slash - at));
                at = slash + 1;
            }
            if (fields.size() > 5 && fields[5].ends_with(".conf"))
                names.push_back(folder + "/" + fields[5]);
            start = end + 1;
        }
        return names;
    }
    std::string grub_entries_folder() const {
        const std::string stat = debugfs("stat /loader");
        constexpr std::string_view label = "Fast link dest: \"";
        const std::size_t start = stat.find(label);
        if (start == std::string::npos)
            return {};
        const std::size_t begin = start + label.size();
        return "/" + stat.substr(begin, stat.find('"', begin) - begin) + "/entries";
    }
    static std::string value(const std::string& entry, const std::string& name) {
        const std::size_t start = ("\n" + entry).find("\n" + name + " ");
        if (start == std::string::npos)
            return {};
        const std::size_t begin = start + name.size() + 1;
        return entry.substr(begin, entry.find('\n', begin) - begin);
    }
    /// Revisions of the entries that GRUB could boot, after checking that every one it sees is whole.
    std::set<std::string> grub_revisions() const {
        std::vector<std::string> files = grub_list(grub_entries_folder());
        if (files.empty()) { // as grub.cfg does when `loader` leads nowhere
            for (const char* folder : {"/loader.1/entries", "/loader.0/entries"})
                for (const std::string& file : grub_list(folder))
                    files.push_back(file);
        }
        std::set<std::string> revisions;
        for (const std::string& file : files) {
            const std::string entry = debugfs("cat " + file);
            const std::string revision = updater::kernel_argument(value(entry, "options"), "atoll.rev");
            BOOST_TEST_INFO(file << ": " << entry);
            BOOST_TEST(debugfs("cat " + value(entry, "linux")) ==
                       (revision == first_revision ? "kernel" : "second kernel"));
            BOOST_TEST(debugfs("cat " + value(entry, "initrd")) == "initramfs");
            revisions.insert(revision);
        }
        return revisions;
    }
    std::string prepare() {
        const std::string commit =
            publish({.version = "2", .program = "two", .kernel = "second kernel", .signers = {&key}});
        BOOST_TEST_REQUIRE(pull().status.success());
        return commit;
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(updater_boot_flush, Disk)

BOOST_AUTO_TEST_CASE(grub_sees_what_was_written) {
    BOOST_TEST(grub_revisions() == (std::set<std::string>{first_revision}), boost::test_tools::per_element());
    const std::string commit = prepare();
    BOOST_TEST_REQUIRE(worker({"deploy", "--commit", commit, "--revision", second_revision, "--ref", "atoll/stable"})
                           .status.success());
    BOOST_TEST(grub_revisions() == (std::set<std::string>{first_revision, second_revision}),
               boost::test_tools::per_element());
    BOOST_TEST_REQUIRE(worker({"put-first", "--revision", first_revision}).status.success());
    const std::vector<std::string> files = grub_list(grub_entries_folder());
    const std::string newest = *std::max_element(files.begin(), files.end());
    BOOST_TEST(updater::kernel_argument(value(debugfs("cat " + newest), "options"), "atoll.rev") == first_revision);
}

BOOST_AUTO_TEST_CASE(killed_at_any_moment_grub_finds_something_whole) {
    const std::string commit = prepare();
    unsigned killed = 0;
    for (std::chrono::milliseconds delay{10};; delay += std::chrono::milliseconds(10)) {
        const std::string said = directory + "/said";
        const base::UniqueFd output = base::open_file(said, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        base::SpawnOptions options;
        options.stdout_fd = options.stderr_fd = output.get();
        base::Child child = base::Child::spawn({UPDATER_WORKER, "--root", paths.root, "deploy", "--commit", commit,
                                                "--revision", second_revision, "--ref", "atoll/stable"},
                                               options);
        const std::optional<base::ExitStatus> ended = child.wait_for(delay);
        if (!ended) {
            child.kill(SIGKILL);
            child.wait();
            ++killed;
        }
        const std::set<std::string> revisions = grub_revisions();
        BOOST_TEST_REQUIRE(revisions.contains(first_revision));
        if (ended) {
            BOOST_TEST(ended->success(), ended->describe() << ": " << base::read_file(said));
            BOOST_TEST(revisions.contains(second_revision));
            break;
        }
    }
    BOOST_TEST(killed > 0U);
}

BOOST_AUTO_TEST_CASE(cut_off_before_the_flush) {
    // What libostree alone leaves: entries swapped, nothing flushed after it. Here the whole of a deploy of its own.
    const std::string commit = prepare();
    base::run_checked({"ostree", "refs", "--repo=" + paths.root + "/ostree/repo", "--create=atoll/two", commit});
    base::run_checked({"ostree", "admin", "deploy", "--no-prune", "--retain", "--sysroot=" + paths.root, "--os=atoll",
                       "--no-merge", fmt::format("--karg=atoll.rev={}", second_revision), "atoll/two"});
    BOOST_TEST(entries().front() == second_revision);
    // Deploying the same again finds it done, and cleans up: what GRUB sees has to be brought up to date before.
    BOOST_TEST_REQUIRE(worker({"deploy", "--commit", commit, "--revision", second_revision, "--ref", "atoll/stable"})
                           .status.success());
    BOOST_TEST(grub_revisions().contains(second_revision));
}

BOOST_AUTO_TEST_CASE(a_frozen_file_system_is_thawed) {
    const base::UniqueFd fd = base::open_file(paths.boot, O_RDONLY | O_DIRECTORY);
    BOOST_TEST_REQUIRE(::ioctl(fd.get(), FIFREEZE, 0) == 0);
    updater::thaw_boot(paths.boot);
    BOOST_TEST(::ioctl(fd.get(), FITHAW, 0) == -1);
    BOOST_TEST(errno == EINVAL);
    BOOST_CHECK_NO_THROW(updater::flush_boot(paths.boot, paths.root));
    BOOST_TEST(::ioctl(fd.get(), FITHAW, 0) == -1); // nothing of ours freezes it
}

BOOST_AUTO_TEST_SUITE_END()
