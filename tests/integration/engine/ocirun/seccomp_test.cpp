// SCMP_ACT_NOTIFY: the test is the agent that answers the container's system calls.
#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "base/error.hpp"
#include "bundle.hpp"

using ocirun_test::Bundle;
using ocirun_test::text;
namespace json = boost::json;

namespace {

struct Agent : Bundle {
    Agent() {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path().c_str());
        listener_.reset(base::check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
        base::check(bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
        base::check(listen(listener_.get(), 5), "listen");
        // Of these a runtime needs some to send the listener at all.
        linux_part()["seccomp"] = json::parse(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat", "sendmsg", "sendto", "write", "futex", "sched_yield", "execve", "close"],
             "action": "SCMP_ACT_NOTIFY"}]})");
        seccomp()["listenerPath"] = socket_path();
        seccomp()["listenerMetadata"] = "of \"mine\"";
    }
    std::string socket_path() const { return path() + "/agent"; }
    json::object& seccomp() { return linux_part()["seccomp"].as_object(); }

    /// Waits for something to read. False: nothing comes any more.
    static bool await(int fd) {
        pollfd wait{fd, POLLIN, 0};
        BOOST_REQUIRE(poll(&wait, 1, 60000) == 1);
        return (wait.revents & POLLIN) != 0;
    }
    /// The document and the descriptor of the next connection.
    json::object accept_state() {
        await(listener_.get());
        const base::UniqueFd connection(
            base::check(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
        char buffer[8192];
        iovec data{buffer, sizeof buffer};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        await(connection.get());
        ssize_t size = base::check(recvmsg(connection.get(), &message, MSG_CMSG_CLOEXEC), "recvmsg");
        const cmsghdr* header = CMSG_FIRSTHDR(&message);
        BOOST_REQUIRE(header != nullptr);
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
        filter.reset(fd);
        std::string document(buffer, static_cast<std::size_t>(size));
        // It is closed after one document.
        while (await(connection.get()) && (size = recv(connection.get(), buffer, sizeof buffer, 0)) > 0)
            document.append(buffer, static_cast<std::size_t>(size));
        return json::parse(document).as_object();
    }
    /// mkdir fails with EXDEV, everything else goes on; until the container ends. How often mkdir was asked for.
    int answer() { return answer(filter.get()); }
    static int answer(int fd) {
        int directories = 0;
        while (await(fd)) {
            seccomp_notif request{};
            if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
                continue; // it has been killed meanwhile
            seccomp_notif_resp response{};
            response.id = request.id;
            if (request.data.nr == SYS_mkdir || request.data.nr == SYS_mkdirat) {
                ++directories;
                response.error = -EXDEV;
            } else {
                response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
            }
            ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &response);
        }
        return directories;
    }
    base::Child spawn(std::vector<std::string> words, const char* to = "output") {
        const base::UniqueFd output = base::open_file(path() + "/" + to, O_RDWR | O_CREAT | O_TRUNC, 0600);
        base::SpawnOptions options;
        options.directory = path();
        options.stdout_fd = output.get();
        options.stderr_fd = output.get();
        words.insert(words.begin(), {OCIRUN, "--root", state_root()});
        return base::Child::spawn(words, options);
    }
    std::string output() const { return base::read_file(path() + "/output"); }
    int listener() const { return listener_.get(); }

    base::UniqueFd filter;

private:
    base::UniqueFd listener_;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(seccomp_notify, Agent)

BOOST_DATA_TEST_CASE(the_agent_answers, boost::unit_test::data::make({true, false}), no_new_privileges) {
    process()["noNewPrivileges"] = no_new_privileges;
    args({"/probe", "mkdir", "/x"});
    save();
    base::Child run = spawn({"run", "box"});
    const json::object document = accept_state();
    BOOST_TEST(json::serialize(document.at("fds")) == R"(["seccompFd"])");
    BOOST_TEST(text(document.at("metadata")) == "of \"mine\"");
    BOOST_TEST(text(document.at("state").at("id")) == "box");
    BOOST_TEST(text(document.at("state").at("bundle")) == path());
    BOOST_TEST(document.at("pid").as_int64() == document.at("state").at("pid").as_int64());
    BOOST_TEST(document.at("pid").as_int64() > 1);
    BOOST_TEST(answer() >= 1);
    BOOST_TEST(run.wait().success());
    BOOST_TEST(output() == std::to_string(EXDEV) + "\n");
}

BOOST_AUTO_TEST_CASE(the_listener_is_sent_at_start_and_for_every_exec) {
    seccomp()["syscalls"] = json::parse(R"([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}])");
    args({"/probe", "wait"});
    save();
    BOOST_REQUIRE(spawn({"create", "box"}, "output-of-box").wait().success());
    base::Child start = spawn({"start", "box"});
    BOOST_TEST(text(accept_state().at("state").at("status")) == "created");
    const base::UniqueFd first = std::move(filter);
    BOOST_TEST(start.wait().success());

    base::Child exec = spawn({"exec", "box", "/probe", "mkdir", "/x"});
    const json::object document = accept_state();
    BOOST_TEST(text(document.at("state").at("status")) == "running");
    BOOST_TEST(document.at("state").at("pid").as_int64() == state().at("pid").as_int64());
    BOOST_TEST(document.at("pid").as_int64() != state().at("pid").as_int64());
    BOOST_TEST(answer() == 1);
    BOOST_TEST(exec.wait().success());
    BOOST_TEST(output() == std::to_string(EXDEV) + "\n");
}

// It has the listener in its queue when it wants it. The document is larger than a socket's usual buffer.
BOOST_AUTO_TEST_CASE(an_agent_that_does_not_read_holds_nothing_up) {
    seccomp()["syscalls"] = json::parse(R"([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}])");
    seccomp()["listenerMetadata"] = std::string(1'000'000, 'x');
    args({"/probe", "exit", "5"});
    save();
    base::Child run = spawn({"run", "box"});
    BOOST_TEST(run.wait().code == 5, output());
    BOOST_TEST(text(accept_state().at("metadata")).size() == 1'000'000U);
}

// Neither the thread that sends the listener nor the wait for it is of the process' schedule.
BOOST_DATA_TEST_CASE(the_schedule_comes_last, boost::unit_test::data::make({true, false}), no_new_privileges) {
    process()["noNewPrivileges"] = no_new_privileges;
    for (const auto& [policy, number] : {std::pair{R"({"policy": "SCHED_FIFO", "priority": 4})", 1},
                                         {R"({"policy": "SCHED_DEADLINE", "runtime": 2000000, "deadline": 30000000,
                                              "period": 40000000})",
                                          6}}) {
        process()["scheduler"] = json::parse(policy);
        save();
        base::Child run = spawn({"run", "box"});
        accept_state();
        answer();
        BOOST_TEST(run.wait().success(), output());
        BOOST_TEST(json::parse(output()).at("scheduling").at("policy").as_int64() == number);
    }
    const std::string document = path() + "/process.json";
    base::write_durable(document, json::serialize(process()));
    process().erase("scheduler");
    args({"/probe", "wait"});
    save();
    BOOST_REQUIRE(spawn({"create", "box"}, "output-of-box").wait().success());
    base::Child start = spawn({"start", "box"});
    accept_state();
    std::thread of_box([this, listener = std::move(filter)]() mutable { answer(listener.get()); });
    base::Child exec = spawn({"exec", "--process", document, "box"});
    accept_state();
    answer();
    BOOST_TEST(exec.wait().success(), output());
    BOOST_TEST(json::parse(output()).at("scheduling").at("policy").as_int64() == 6);
    BOOST_TEST(start.wait().success());
    BOOST_TEST(ocirun({"delete", "--force", "box"}).status.success());
    of_box.join();
}

// Without the privilege to make a socket's buffer as large as it takes, what does not fit is sent while the agent
// reads. It is not the container's process that waits for that.
BOOST_AUTO_TEST_CASE(an_agent_that_is_slow_to_read_a_document_larger_than_the_buffer) {
    namespaces(R"([{"type": "mount"}, {"type": "pid"}, {"type": "uts"}])"); // a network takes the same privilege
    seccomp()["syscalls"] = json::parse(R"([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}])");
    seccomp()["listenerMetadata"] = std::string(4'000'000, 'x');
    args({"/probe", "wait"});
    save();
    BOOST_REQUIRE(spawn({"create", "box"}, "output-of-box").wait().success());
    const std::string status = "/proc/" + std::to_string(state().at("pid").as_int64()) + "/status";
    const base::UniqueFd null = base::open_file("/dev/null", O_RDWR);
    base::SpawnOptions options;
    options.stdout_fd = null.get();
    base::Child start = base::Child::spawn({"setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", OCIRUN,
                                            "--root", state_root(), "start", "box"},
                                           options);
    await(listener());
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!base::read_file(status).starts_with("Name:\tprobe\n"))
        BOOST_REQUIRE(std::chrono::steady_clock::now() < deadline);
    BOOST_TEST(text(accept_state().at("metadata")).size() == 4'000'000U);
    BOOST_TEST(start.wait().success());
}

BOOST_AUTO_TEST_CASE(without_an_agent_nothing_runs) {
    seccomp()["listenerPath"] = path() + "/nobody";
    BOOST_TEST(run_error() ==
               "ocirun: linux.seccomp.listenerPath: open " + path() + "/nobody: No such file or directory\n");
    // One that goes away: the container must not wait for it, nor run without it.
    seccomp()["listenerPath"] = path() + "/deaf";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "%s/deaf", path().c_str());
    base::UniqueFd deaf(base::check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    base::check(bind(deaf.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
    base::check(listen(deaf.get(), 1), "listen");
    args({"/probe", "wait"});
    save();
    base::Child create = spawn({"create", "box"});
    BOOST_REQUIRE(create.wait().success());
    // `start` connects and the child sends; between the two the agent is gone. Its queue is closed after the connect.
    const std::string pid = std::to_string(state().at("pid").as_int64());
    base::run_checked({"kill", "-STOP", pid});
    base::Child start = spawn({"start", "box"});
    await(deaf.get());
    deaf.reset();
    base::run_checked({"kill", "-CONT", pid});
    BOOST_TEST(start.wait().code == 1);
    BOOST_TEST(output().find("linux.seccomp.listenerPath: " + path() +
                             "/deaf: send the seccomp listener: Broken pipe") != std::string::npos,
               output());
    BOOST_TEST(text(state().at("status")) == "stopped");
}

BOOST_AUTO_TEST_SUITE_END()
