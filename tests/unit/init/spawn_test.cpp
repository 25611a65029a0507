#include "spawn.hpp"

#include <boost/test/unit_test.hpp>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "base/unique_fd.hpp"

namespace {

constexpr const char* environment[] = {"PATH=/usr/bin:/bin", "ONLY=this", nullptr};

std::string read_all(int fd) {
    std::string text;
    char block[4096];
    for (ssize_t size = 0; (size = ::read(fd, block, sizeof block)) > 0;)
        text.append(block, static_cast<std::size_t>(size));
    return text;
}

/// Runs a shell command with `plan`'s extras; returns what it prints.
std::string run(const char* command, init::ChildPlan plan = {}) {
    const char* const argv[] = {"/bin/sh", "-c", command, nullptr};
    int ends[2];
    BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const base::UniqueFd reader(ends[0]);
    base::UniqueFd writer(ends[1]);
    plan.argv = argv;
    plan.environment = environment;
    plan.output = writer.get();
    init::SpawnError error{};
    const pid_t pid = init::spawn(plan, error);
    BOOST_REQUIRE(pid > 0);
    BOOST_TEST(error.error == 0);
    writer.reset();
    const std::string text = read_all(reader.get());
    int status = 0;
    BOOST_REQUIRE(::waitpid(pid, &status, 0) == pid);
    BOOST_TEST(status == 0);
    return text;
}

} // namespace

BOOST_AUTO_TEST_SUITE(spawn)

BOOST_AUTO_TEST_CASE(the_child_has_its_own_session_environment_and_signals) {
    sigset_t all;
    sigset_t old;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &old);
    const std::string text = run("echo $ONLY; [ $$ = $(cut -d' ' -f6 /proc/$$/stat) ] && echo leader;"
                                 "grep SigBlk /proc/self/status; readlink /proc/$$/fd/0");
    ::sigprocmask(SIG_SETMASK, &old, nullptr);
    BOOST_TEST(text == "this\nleader\nSigBlk:\t0000000000000000\n/dev/null\n");
}

BOOST_AUTO_TEST_CASE(only_the_channel_is_passed_on) {
    const base::UniqueFd leak(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
    const base::UniqueFd channel(::open("/etc/passwd", O_RDONLY | O_CLOEXEC));
    init::ChildPlan plan{};
    plan.channel = channel.get();
    BOOST_TEST(run("readlink /proc/$$/fd/* | grep -c -x -e /dev/zero -e /etc/passwd; readlink /proc/$$/fd/3", plan) ==
               "1\n/etc/passwd\n");
}

BOOST_AUTO_TEST_CASE(a_failed_exec_names_stage_and_reason) {
    const char* const argv[] = {"/nowhere/engined", nullptr};
    init::ChildPlan plan{};
    plan.argv = argv;
    plan.environment = environment;
    init::SpawnError error{};
    BOOST_TEST(init::spawn(plan, error) == -1);
    BOOST_TEST((error.stage == init::Stage::exec));
    BOOST_TEST(error.error == ENOENT);
    // The child that failed is reaped.
    BOOST_TEST(::waitpid(-1, nullptr, WNOHANG) == -1);
    BOOST_TEST(errno == ECHILD);
}

BOOST_AUTO_TEST_CASE(a_missing_terminal_is_its_own_stage) {
    const char* const argv[] = {"/bin/true", nullptr};
    init::ChildPlan plan{};
    plan.argv = argv;
    plan.environment = environment;
    plan.terminal = "/nowhere/tty";
    init::SpawnError error{};
    BOOST_TEST(init::spawn(plan, error) == -1);
    BOOST_TEST((error.stage == init::Stage::input));
    BOOST_TEST(error.error == ENOENT);
}

BOOST_AUTO_TEST_CASE(a_missing_cgroup_does_not_keep_it_from_starting) {
    init::ChildPlan plan{};
    plan.cgroup = "/nowhere/cgroup";
    BOOST_TEST(run("echo runs", plan) == "runs\n");
}

BOOST_AUTO_TEST_SUITE_END()
