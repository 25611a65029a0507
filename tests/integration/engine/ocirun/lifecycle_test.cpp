// create, start, exec, kill, pause, delete, and what is left.
#include <boost/test/unit_test.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/error.hpp"
#include "bundle.hpp"

using ocirun_test::Bundle;
using ocirun_test::text;
namespace json = boost::json;

namespace {

/// Takes the terminal that a container sends.
class ConsoleSocket {
public:
    explicit ConsoleSocket(const std::string& path) : socket_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path.c_str());
        BOOST_REQUIRE(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        BOOST_REQUIRE(listen(socket_.get(), 1) == 0);
    }
    base::UniqueFd take() const {
        const base::UniqueFd connection(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        char byte[64];
        iovec data{byte, sizeof byte};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        BOOST_REQUIRE(recvmsg(connection.get(), &message, MSG_CMSG_CLOEXEC) > 0);
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
        return base::UniqueFd(fd);
    }

private:
    base::UniqueFd socket_;
};

std::string read_until_end(int fd) {
    std::string all;
    char buffer[4096];
    for (ssize_t size = 0; (size = read(fd, buffer, sizeof buffer)) > 0;) // EIO: the other end is closed
        all.append(buffer, static_cast<std::size_t>(size));
    return all;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(lifecycle, Bundle)

BOOST_AUTO_TEST_CASE(created_running_stopped_deleted) {
    args({"/probe", "wait"});
    save();
    BOOST_REQUIRE(base::Child::spawn({OCIRUN, "--root", state_root(), "create", "--bundle", path(), "--pid-file",
                                      path() + "/pid", "box"})
                      .wait()
                      .success());
    BOOST_TEST(text(state().at("status")) == "created");
    const std::int64_t pid = state().at("pid").as_int64();
    BOOST_TEST(base::read_file(path() + "/pid") == std::to_string(pid));
    BOOST_TEST(base::read_file("/proc/" + std::to_string(pid) + "/comm") != "probe\n"); // it does not run yet
    BOOST_TEST(ocirun({"delete", "box"}).errors.find("is created; stop it") != std::string::npos);
    BOOST_TEST(ocirun({"start", "box"}).status.success());
    BOOST_TEST(text(state().at("status")) == "running");
    BOOST_TEST(base::read_file("/proc/" + std::to_string(pid) + "/comm") == "probe\n");
    BOOST_TEST(ocirun({"start", "box"}).errors.find("is running, not created") != std::string::npos);
    BOOST_TEST(ocirun({"create", "box"}).errors == "ocirun: container \"box\" exists already\n");
    BOOST_TEST(ocirun({"ps", "box"}).output == "PID\n" + std::to_string(pid) + "\n");
    BOOST_TEST(ocirun({"list", "-q"}).output == "box\n");
    BOOST_TEST(json::parse(ocirun({"list", "--format", "json"}).output).at(0).at("id").as_string() == "box");
    BOOST_TEST(ocirun({"kill", "box", "KILL"}).status.success());
    await_status("stopped");
    BOOST_TEST(state().at("pid").as_int64() == 0);
    BOOST_TEST(ocirun({"kill", "box"}).status.code == 1);
    BOOST_TEST(ocirun({"delete", "box"}).status.success());
    BOOST_TEST(ocirun({"state", "box"}).errors == "ocirun: container \"box\" does not exist\n");
    BOOST_TEST(leftovers() == "");
}

BOOST_AUTO_TEST_CASE(exit_codes_are_passed_on) {
    args({"/probe", "exit", "42"});
    save();
    BOOST_TEST(ocirun({"run", "box"}).status.code == 42);
    BOOST_TEST(leftovers() == "");
}

BOOST_AUTO_TEST_CASE(signals_are_passed_on_in_the_foreground) {
    args({"/probe", "wait"});
    save();
    base::SpawnOptions options;
    int ends[2];
    BOOST_REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const base::UniqueFd output(ends[0]);
    base::UniqueFd write_end(ends[1]);
    options.stdout_fd = write_end.get();
    base::Child run = base::Child::spawn({OCIRUN, "--root", state_root(), "run", "-b", path(), "box"}, options);
    write_end.reset();
    char ready[6];
    BOOST_REQUIRE(read(output.get(), ready, sizeof ready) == 6); // "ready\n"
    run.kill(SIGTERM);
    BOOST_TEST(run.wait().code == 7);
    BOOST_TEST(leftovers() == "");
}

BOOST_AUTO_TEST_CASE(one_in_the_foreground_is_not_locked) {
    args({"/probe", "wait"});
    save();
    int ends[2];
    BOOST_REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const base::UniqueFd output(ends[0]);
    base::UniqueFd write_end(ends[1]);
    base::SpawnOptions options;
    options.stdout_fd = write_end.get();
    base::Child run = base::Child::spawn({OCIRUN, "--root", state_root(), "run", "-b", path(), "box"}, options);
    write_end.reset();
    char ready[6];
    BOOST_REQUIRE(read(output.get(), ready, sizeof ready) == 6);
    BOOST_TEST(ocirun({"pause", "box"}).status.success());
    BOOST_TEST(ocirun({"resume", "box"}).status.success());
    BOOST_TEST(ocirun({"delete", "--force", "box"}).status.success());
    BOOST_TEST(run.wait().code == 128 + SIGKILL);
    BOOST_TEST(leftovers() == "");
}

BOOST_AUTO_TEST_CASE(exec_joins_everything) {
    process()["capabilities"] = json::parse(R"({"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"],
                                                "effective": ["CAP_KILL"]})");
    linux_part()["seccomp"] = json::parse(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"],
                                              "action": "SCMP_ACT_ERRNO", "errnoRet": 77}]})");
    start_waiting();
    const std::string pid = std::to_string(state().at("pid").as_int64());
    const base::RunResult result =
        ocirun({"exec", "--env", "MORE=1", "--cwd", "/proc", "--user", "5:6", "box", "probe", "report"});
    BOOST_REQUIRE_MESSAGE(result.status.success(), result.errors);
    const json::object report = json::parse(result.output).as_object();
    for (const char* name : {"mnt", "pid", "net", "ipc", "uts", "cgroup", "user"})
        BOOST_TEST(text(report.at("namespaces").at(name)) ==
                       std::string(std::filesystem::read_symlink("/proc/" + pid + "/ns/" + name)),
                   name);
    BOOST_TEST(text(report.at("cgroup")).find("0::/\n") != std::string::npos);
    BOOST_TEST(report.at("uid").as_int64() == 5);
    BOOST_TEST(report.at("gid").as_int64() == 6);
    BOOST_TEST(text(report.at("cwd")) == "/proc");
    BOOST_TEST(json::serialize(report.at("env")).find("\"MORE=1\"") != std::string::npos);
    BOOST_TEST(text(report.at("status").at("CapBnd")) == "0000000000000020");
    BOOST_TEST(text(report.at("status").at("Seccomp")) == "2");
    BOOST_TEST(text(report.at("status").at("NoNewPrivs")) == "1");
    BOOST_TEST(report.at("fds").as_object().size() == 3U);
    BOOST_TEST(ocirun({"exec", "box", "/probe", "mkdir", "/tmp"}).output == "77\n");
    BOOST_TEST(ocirun({"exec", "box", "/probe", "exit", "9"}).status.code == 9);
    BOOST_TEST(ocirun({"exec", "box", "nothing"}).errors ==
               "ocirun: exec \"nothing\": executable file not found in $PATH\n");
    BOOST_TEST(ocirun({"exec", "box", "/proc/version"}).errors.find("Permission denied") != std::string::npos);

    std::ofstream(path() + "/process.json")
        << R"({"args": ["/probe", "report"], "cwd": "/", "user": {"uid": 8, "gid": 9}, "env": ["ONLY=this"]})";
    const json::value other = json::parse(ocirun({"exec", "--process", "process.json", "box"}).output);
    BOOST_TEST(other.at("uid").as_int64() == 8);
    BOOST_TEST(text(other.at("status").at("CapBnd")) == "0000000000000000");
    BOOST_TEST(json::serialize(other.at("env")) == R"(["HOME=/","ONLY=this"])");
}

BOOST_AUTO_TEST_CASE(exec_in_a_user_namespace) {
    use_user_namespace();
    start_waiting();
    const base::RunResult result = ocirun({"exec", "--user", "5:6", "box", "/probe"});
    BOOST_REQUIRE_MESSAGE(result.status.success(), result.errors);
    const json::value report = json::parse(result.output);
    BOOST_TEST(report.at("uid").as_int64() == 5);
    BOOST_TEST(text(report.at("namespaces").at("user")) != ocirun_test::host_namespace("user"));
}

BOOST_AUTO_TEST_CASE(exec_detached_writes_its_pid) {
    start_waiting();
    BOOST_REQUIRE(ocirun({"exec", "--detach", "--pid-file", path() + "/pid", "box", "/probe", "wait"},
                         {.spawn = {}, .input = {}, .output_limit = 1 << 20, .timeout = {}})
                      .status.success());
}

BOOST_AUTO_TEST_CASE(exec_needs_a_running_container) {
    BOOST_TEST(ocirun({"exec", "box", "/probe"}).errors == "ocirun: container \"box\" does not exist\n");
    start_waiting();
    BOOST_REQUIRE(ocirun({"pause", "box"}).status.success());
    BOOST_TEST(text(state().at("status")) == "paused");
    BOOST_TEST(ocirun({"exec", "box", "/probe"}).errors == "ocirun: container \"box\" is paused\n");
    BOOST_REQUIRE(ocirun({"resume", "box"}).status.success());
    BOOST_TEST(text(state().at("status")) == "running");
    BOOST_REQUIRE(ocirun({"kill", "--all", "box", "KILL"}).status.success());
    await_status("stopped");
    BOOST_TEST(ocirun({"exec", "box", "/probe"}).errors.find("is stopped, not running") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_signal_for_all) {
    config.erase("hostname");
    namespaces(R"([{"type": "mount"}])"); // with a pid namespace the end of the first process would be the other's, too
    start_waiting();
    base::Child exec = base::Child::spawn(
        {OCIRUN, "--root", state_root(), "exec", "--pid-file", path() + "/pid", "box", "/probe", "wait"});
    // It has to run, and to wait for the signal; until then it would kill it.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    const auto catches_term = [&] {
        const std::string pid = base::read_file_if_exists(path() + "/pid").value_or("0");
        const std::string status = base::read_file_if_exists("/proc/" + pid + "/status").value_or("");
        const std::size_t at = status.find("SigCgt:\t");
        return status.starts_with("Name:\tprobe\n") && at != std::string::npos &&
               (std::stoull(status.substr(at + 8, 16), nullptr, 16) >> (SIGTERM - 1) & 1U) != 0;
    };
    while (!catches_term())
        BOOST_REQUIRE(std::chrono::steady_clock::now() < deadline);
    BOOST_TEST(ocirun({"kill", "--all", "box", "TERM"}).status.success());
    BOOST_TEST(exec.wait().code == 7);
    await_status("stopped");
}

BOOST_AUTO_TEST_CASE(a_paused_container_can_be_deleted_by_force) {
    start_waiting();
    BOOST_REQUIRE(ocirun({"pause", "box"}).status.success());
    BOOST_TEST(ocirun({"delete", "--force", "box"}).status.success());
    BOOST_TEST(leftovers() == "");
}

BOOST_AUTO_TEST_CASE(the_last_process_takes_all_others_along) {
    namespaces(R"([{"type": "mount"}])"); // no pid namespace: others outlive the first
    config.erase("hostname");
    mounts().erase(mounts().begin() + 3);
    start_waiting();
    BOOST_REQUIRE(base::Child::spawn({OCIRUN, "--root", state_root(), "exec", "-d", "--pid-file", path() + "/pid",
                                      "box", "/probe", "wait"})
                      .wait()
                      .success());
    const std::string other = base::read_file(path() + "/pid");
    BOOST_REQUIRE(ocirun({"kill", "box", "KILL"}).status.success());
    await_status("stopped");
    BOOST_TEST(std::filesystem::exists("/proc/" + other));
    BOOST_REQUIRE(ocirun({"delete", "box"}).status.success());
    BOOST_TEST(leftovers() == "");
}

BOOST_AUTO_TEST_CASE(a_terminal_by_the_console_socket) {
    process()["terminal"] = true;
    process()["consoleSize"] = json::parse(R"({"height": 33, "width": 77})");
    process()["user"] = json::parse(R"({"uid": 12, "gid": 0})");
    report({"/dev/console"});
    save();
    const ConsoleSocket console(path() + "/console");
    std::string output;
    std::thread reader([&] {
        const base::UniqueFd master = console.take();
        output = read_until_end(master.get());
    });
    const base::RunResult result = ocirun({"run", "--console-socket", path() + "/console", "box"});
    reader.join();
    BOOST_REQUIRE_MESSAGE(result.status.success(), result.errors);
    const json::value report = json::parse(output);
    BOOST_TEST(report.at("terminal").as_bool());
    BOOST_TEST(text(report.at("size")) == "33x77");
    BOOST_TEST(text(report.at("tty")) == "/dev/pts/0");
    BOOST_TEST(text(report.at("files").at("/dev/console").at("device")) == "136:0");
    BOOST_TEST(report.at("files").at("/dev/console").at("uid").as_int64() == 12);
}

BOOST_AUTO_TEST_CASE(a_terminal_in_the_foreground) {
    process()["terminal"] = true;
    save();
    const base::RunResult result = ocirun({"run", "box"});
    BOOST_REQUIRE_MESSAGE(result.status.success(), result.errors);
    BOOST_TEST(json::parse(result.output).at("terminal").as_bool());
    BOOST_TEST(ocirun({"create", "box"}).errors == "ocirun: process.terminal is true: give --console-socket\n");
}

BOOST_AUTO_TEST_CASE(descriptors_are_passed_only_when_asked) {
    save();
    base::RunOptions options;
    const base::UniqueFd file = base::open_file(path() + "/config.json", O_RDONLY);
    options.spawn.extra_fds = {{file.get(), 3}, {file.get(), 9}};
    const json::value none = json::parse(ocirun({"run", "box"}, options).output);
    BOOST_TEST(none.at("fds").as_object().size() == 3U);
    const json::value one = json::parse(ocirun({"run", "--preserve-fds", "1", "box"}, options).output);
    BOOST_TEST(one.at("fds").as_object().size() == 4U);
    BOOST_TEST(text(one.at("fds").at("3")).ends_with("/config.json"));
    BOOST_TEST(ocirun({"run", "--preserve-fds", "2", "box"}, options).errors ==
               "ocirun: preserve descriptor 4: Bad file descriptor\n");
}

BOOST_AUTO_TEST_SUITE_END()
