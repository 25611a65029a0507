// Deploying, putting another deployment first, and cleaning up, on a real sysroot.
#include <boost/test/unit_test.hpp>

#include <csignal>

#include "rig.hpp"

using namespace updater_test;

namespace {

constexpr const char* second_revision = "0000000000000002";
constexpr const char* third_revision = "0000000000000003";

struct Machine : Rig {
    Machine() : first_commit(publish({.signers = {&key}})) { install(first_commit); }
    std::string first_commit;

    std::string update(const Image& image, const std::string& revision) {
        const std::string commit = publish(image);
        const base::RunResult pulled = pull();
        BOOST_TEST_INFO(pulled.output);
        BOOST_TEST_REQUIRE(pulled.status.success());
        const base::RunResult run =
            worker({"deploy", "--commit", commit, "--revision", revision, "--ref", "atoll/stable"});
        BOOST_TEST_INFO(run.output << run.errors);
        BOOST_TEST_REQUIRE(run.status.success());
        return commit;
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(updater_deploy, Machine)

BOOST_AUTO_TEST_CASE(new_deployment_is_first_and_keeps_etc_and_arguments) {
    const std::string old_root = deployment_of(first_revision);
    base::write_durable(old_root + "/etc/kept", "edited here\n");
    base::write_durable(old_root + "/etc/added", "by hand\n");
    update({.version = "2", .program = "two", .signers = {&key}}, second_revision);

    BOOST_TEST(entries() == (std::vector<std::string>{second_revision, first_revision}));
    const std::string root = deployment_of(second_revision);
    BOOST_TEST(base::read_file(root + "/usr/bin/program") == "two");
    BOOST_TEST(base::read_file(root + "/etc/kept") == "edited here\n");
    BOOST_TEST(base::read_file(root + "/etc/added") == "by hand\n");
    BOOST_TEST(base::read_file(root + "/etc/shipped") == "version 2\n");
    BOOST_TEST(boot() == second_revision);
    const std::string command_line = base::read_file(paths.command_line);
    BOOST_TEST(updater::kernel_argument(command_line, "root") == "LABEL=atoll-root");
    BOOST_TEST(command_line.find(first_revision) == std::string::npos);
}

BOOST_AUTO_TEST_CASE(third_deployment_prunes_the_first) {
    update({.version = "2", .program = "two", .kernel = "second kernel", .signers = {&key}}, second_revision);
    const std::string first_root = deployment_of(first_revision);
    const std::string repository = paths.root + "/ostree/repo";
    boot();
    base::GrubEnv env = grub_env();
    env.set("ok", second_revision);
    env.store_in_place(paths.grub_env);
    update({.version = "3", .program = "three", .kernel = "third kernel", .signers = {&key}}, third_revision);
    BOOST_TEST(entries() == (std::vector<std::string>{third_revision, second_revision}));
    BOOST_TEST(!std::filesystem::exists(first_root));
    // Two kernels are left of three, one loader directory, and no object that only the first release had.
    const auto count = [](const std::string& folder) {
        return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
    };
    BOOST_TEST(count(paths.boot + "/ostree") == 2);
    BOOST_TEST(std::filesystem::exists(paths.boot + "/loader.0") != std::filesystem::exists(paths.boot + "/loader.1"));
    BOOST_TEST(base::run({"ostree", "fsck", "--repo=" + repository}).status.success());
    BOOST_TEST(!base::run({"ostree", "show", "--repo=" + repository, first_commit}).status.success());
}

BOOST_AUTO_TEST_CASE(revision_to_keep_is_kept) {
    update({.version = "2", .program = "two", .signers = {&key}}, second_revision);
    boot(); // on trial: the first is still what is known good
    const std::string commit = publish({.version = "3", .program = "three", .signers = {&key}});
    BOOST_TEST_REQUIRE(pull().status.success());
    BOOST_TEST_REQUIRE(worker({"deploy", "--commit", commit, "--revision", third_revision, "--ref", "atoll/stable",
                               "--keep", first_revision})
                           .status.success());
    BOOST_TEST(entries() == (std::vector<std::string>{third_revision, second_revision, first_revision}));
}

BOOST_AUTO_TEST_CASE(deploying_again_changes_nothing) {
    const std::string commit = update({.version = "2", .program = "two", .signers = {&key}}, second_revision);
    const std::vector<std::string> before = listing();
    BOOST_TEST(worker({"deploy", "--commit", commit, "--revision", second_revision, "--ref", "atoll/stable"})
                   .status.success());
    BOOST_TEST(listing() == before, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(putting_first_and_back) {
    update({.version = "2", .program = "two", .signers = {&key}}, second_revision);
    boot();
    BOOST_TEST_REQUIRE(worker({"put-first", "--revision", first_revision}).status.success());
    BOOST_TEST(entries() == (std::vector<std::string>{first_revision, second_revision}));
    BOOST_TEST(base::read_file(deployment_of(first_revision) + "/usr/bin/program") == "one");
    BOOST_TEST_REQUIRE(worker({"put-first", "--revision", second_revision}).status.success());
    BOOST_TEST(entries() == (std::vector<std::string>{second_revision, first_revision}));
    const base::RunResult run = worker({"put-first", "--revision", "ffffffffffffffff"});
    BOOST_TEST(run.status.code == 1);
    BOOST_TEST(run.output.find("no deployment with revision ffffffffffffffff") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(killed_at_any_moment_it_still_boots_and_can_be_repeated) {
    const std::string commit = publish({.version = "2", .program = "two", .kernel = "second", .signers = {&key}});
    BOOST_TEST_REQUIRE(pull().status.success());
    unsigned killed = 0;
    for (std::chrono::milliseconds delay{5};; delay += std::chrono::milliseconds(10)) {
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
        // What GRUB finds is whole: every entry has its kernel and leads to a tree.
        const std::vector<std::string> order = entries();
        BOOST_TEST_REQUIRE(!order.empty());
        for (const std::string& revision : order) {
            const std::string program = base::read_file(deployment_of(revision) + "/usr/bin/program");
            BOOST_TEST(program == (revision == first_revision ? "one" : "two"));
        }
        if (ended) {
            BOOST_TEST(ended->success(), ended->describe() << ": " << base::read_file(said));
            break;
        }
    }
    BOOST_TEST(killed > 0U);
    BOOST_TEST(entries() == (std::vector<std::string>{second_revision, first_revision}));
    BOOST_TEST(boot() == second_revision);
}

BOOST_AUTO_TEST_CASE(somebody_else_holds_the_sysroot) {
    const std::string commit = publish({.version = "2", .program = "two", .signers = {&key}});
    BOOST_TEST_REQUIRE(pull().status.success());
    const base::UniqueFd lock = base::open_file(paths.root + "/ostree/lock", O_RDWR | O_CREAT, 0600);
    struct flock range {};
    range.l_type = F_WRLCK;
    BOOST_TEST_REQUIRE(::fcntl(lock.get(), F_OFD_SETLK, &range) == 0);
    const std::vector<std::string> deploy{"deploy",        "--commit", commit,        "--revision",
                                          second_revision, "--ref",    "atoll/stable"};
    const auto waiting = [&](const char* seconds) {
        std::vector<std::string> argv{UPDATER_WORKER, "--root", paths.root, "--lock-wait", seconds};
        argv.insert(argv.end(), deploy.begin(), deploy.end());
        return argv;
    };
    const base::RunResult run = base::run(waiting("0"));
    BOOST_TEST_INFO(run.output);
    BOOST_TEST(run.status.code == 1);
    BOOST_TEST(run.output.find("another process is changing the deployments") != std::string::npos);
    BOOST_TEST(entries() == (std::vector<std::string>{first_revision}));
    // libostree's guardian of a frozen /boot has the lock a moment longer than the worker that was killed.
    base::Child child = base::Child::spawn(waiting("600"), {});
    BOOST_TEST(!child.wait_for(std::chrono::milliseconds(500)).has_value());
    range.l_type = F_UNLCK;
    BOOST_TEST_REQUIRE(::fcntl(lock.get(), F_OFD_SETLK, &range) == 0);
    BOOST_TEST(child.wait().success());
    BOOST_TEST(entries() == (std::vector<std::string>{second_revision, first_revision}));
}

BOOST_AUTO_TEST_CASE(other_boot_loader_is_refused) {
    base::run_checked(
        {"ostree", "config", "--repo=" + paths.root + "/ostree/repo", "set", "sysroot.bootloader", "auto"});
    const std::string commit = publish({.version = "2", .program = "two", .signers = {&key}});
    BOOST_TEST_REQUIRE(pull().status.success());
    const base::RunResult run =
        worker({"deploy", "--commit", commit, "--revision", second_revision, "--ref", "atoll/stable"});
    BOOST_TEST(run.status.code == 1);
    BOOST_TEST(run.output.find("sysroot.bootloader") != std::string::npos);
    BOOST_TEST(entries() == (std::vector<std::string>{first_revision}));
}

BOOST_AUTO_TEST_CASE(edited_os_release_with_grub_syntax_is_refused) {
    base::write_durable(deployment_of(first_revision) + "/etc/os-release", "PRETTY_NAME=\"x $(halt)\"\n");
    const std::string commit = publish({.version = "2", .program = "two", .signers = {&key}});
    BOOST_TEST_REQUIRE(pull().status.success());
    const base::RunResult run =
        worker({"deploy", "--commit", commit, "--revision", second_revision, "--ref", "atoll/stable"});
    BOOST_TEST(run.status.code == 1);
    BOOST_TEST(run.output.find("etc/os-release: PRETTY_NAME: character '$'") != std::string::npos);
    BOOST_TEST(entries() == (std::vector<std::string>{first_revision}));
}

BOOST_AUTO_TEST_SUITE_END()
