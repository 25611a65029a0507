#include "base/process.hpp"

#include <fcntl.h>
#include <poll.h>

#include <csignal>

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/files.hpp"

BOOST_AUTO_TEST_SUITE(process)

BOOST_AUTO_TEST_CASE(captures_output_errors_and_code) {
    const auto result = base::run({"sh", "-c", "cat; echo problem >&2; exit 3"}, {.input = "hello"});
    BOOST_TEST(result.output == "hello");
    BOOST_TEST(result.errors == "problem\n");
    BOOST_TEST(result.status.code == 3);
    BOOST_CHECK_EXCEPTION(base::run_checked({"sh", "-c", "echo one >&2; echo two >&2; exit 3"}), base::Error,
                          [](const base::Error& error) { return std::string(error.what()) == "sh: exit code 3: two"; });
}

BOOST_AUTO_TEST_CASE(exec_failure_names_the_program) {
    BOOST_CHECK_EXCEPTION(base::Child::spawn({"/nonexistent/program"}), base::Error, [](const base::Error& error) {
        return std::string(error.what()) == "run /nonexistent/program: No such file or directory";
    });
    BOOST_CHECK_THROW(base::Child::spawn({"no-such-program-anywhere"}), base::Error);
    BOOST_CHECK_THROW(base::Child::spawn({"true"}, {.directory = "/nonexistent"}), base::Error);
}

BOOST_AUTO_TEST_CASE(time_limit_kills) {
    BOOST_CHECK_EXCEPTION(base::run({"sleep", "1000"}, {.timeout = std::chrono::milliseconds(50)}), base::Error,
                          [](const base::Error& error) { return error.error() == ETIMEDOUT; });
}

BOOST_AUTO_TEST_CASE(output_limit_is_an_error) {
    BOOST_CHECK_THROW(base::run({"head", "-c", "100000", "/dev/zero"}, {.output_limit = 1000}), base::Error);
}

BOOST_AUTO_TEST_CASE(a_daemon_that_keeps_the_pipe_does_not_block) {
    const auto result = base::run({"sh", "-c", "sleep 1000 & echo $!"});
    BOOST_TEST(result.status.success());
    ::kill(std::stoi(result.output), SIGKILL);
}

BOOST_AUTO_TEST_CASE(only_named_descriptors_are_inherited) {
    const base::UniqueFd leaked(::open("/dev/null", O_RDONLY)); // without close-on-exec, as a careless library would
    const base::UniqueFd passed = base::open_file("/dev/zero", O_RDONLY);
    const auto result = base::run({"sh", "-c", "for f in /proc/self/fd/*; do readlink $f; done"},
                                  {.spawn = {.extra_fds = {{passed.get(), 7}}}});
    BOOST_TEST(result.output.find("/dev/zero") != std::string::npos);
    BOOST_TEST(result.output.find("/dev/null") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(overlapping_descriptor_numbers) {
    const base::TempDir dir;
    base::write_durable(dir / "a", "A");
    base::write_durable(dir / "b", "B");
    const base::UniqueFd a = base::open_file(dir / "a", O_RDONLY);
    const base::UniqueFd b = base::open_file(dir / "b", O_RDONLY);
    const std::string command = fmt::format("cat <&{} && cat <&{}", b.get(), a.get());
    const auto result =
        base::run({"bash", "-c", command}, {.spawn = {.extra_fds = {{a.get(), b.get()}, {b.get(), a.get()}}}});
    BOOST_TEST(result.output == "AB");
}

BOOST_AUTO_TEST_CASE(an_unwaited_child_is_killed_and_reaped) {
    pid_t pid = 0;
    {
        const base::Child child = base::Child::spawn({"sleep", "1000"});
        pid = child.pid();
    }
    BOOST_TEST(::kill(pid, 0) == -1);
    BOOST_TEST(errno == ESRCH);
}

BOOST_AUTO_TEST_CASE(environment_is_replaced_by_name) {
    ::setenv("ATOLL_TEST", "old", 1); // NOLINT(concurrency-mt-unsafe)
    const auto result = base::run({"sh", "-c", "echo $ATOLL_TEST"}, {.spawn = {.environment = {"ATOLL_TEST=new"}}});
    BOOST_TEST(result.output == "new\n");
    const auto empty = base::run({"/usr/bin/env"}, {.spawn = {.environment = {"A=b"}, .inherit_environment = false}});
    BOOST_TEST(empty.output == "A=b\n");
}

BOOST_AUTO_TEST_CASE(signals_are_told_apart_from_codes) {
    const auto result = base::run({"sh", "-c", "kill -KILL $$"});
    BOOST_TEST(result.status.signal == SIGKILL);
    BOOST_TEST(result.status.shell_code() == 137);
    BOOST_TEST(result.status.describe() == "killed by signal 9 (KILL)");
}

BOOST_AUTO_TEST_SUITE_END()
