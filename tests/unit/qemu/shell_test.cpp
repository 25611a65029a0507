#include <boost/test/unit_test.hpp>

#include <sys/socket.h>

#include <thread>

#include "base/error.hpp"
#include "base/files.hpp"
#include "qemu/shell_client.hpp"

using qemu::Deadline;
using qemu::Seconds;

namespace {

constexpr const char* boot_a = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
constexpr const char* boot_b = "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb";

/// The guest's side of the port, driven by the test.
struct Guest {
    Guest() {
        std::array<int, 2> ends{};
        base::check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
        host.reset(ends[0]);
        port.reset(ends[1]);
    }
    void say(const std::string& text) const { base::write_all(port.get(), text, "port"); }
    /// Says "ready" until the host asks for something; returns its words. Empty when the host went away.
    std::vector<std::string> next_request() const {
        qemu::LineBuffer lines;
        while (true) {
            if (const auto line = lines.next())
                return qemu::shell_words(*line);
            if (::send(port.get(), "\nready ", 7, MSG_NOSIGNAL) < 0 ||
                ::send(port.get(), boot_a, 36, MSG_NOSIGNAL) < 0 || ::send(port.get(), "\n", 1, MSG_NOSIGNAL) < 0)
                return {};
            std::array<char, 4096> chunk{};
            timeval wait{0, 10'000};
            ::setsockopt(port.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
            const ssize_t count = ::recv(port.get(), chunk.data(), chunk.size(), 0);
            if (count == 0)
                return {};
            if (count > 0)
                lines.append({chunk.data(), static_cast<std::size_t>(count)});
        }
    }
    base::UniqueFd host;
    base::UniqueFd port;
};

} // namespace

BOOST_AUTO_TEST_SUITE(shell)

BOOST_AUTO_TEST_CASE(lines_are_cut_and_long_ones_dropped) {
    qemu::LineBuffer lines;
    lines.append("one\r\ntw");
    BOOST_TEST(lines.next().value_or("none") == "one");
    BOOST_TEST(!lines.next().has_value());
    lines.append("o\n\nthree\n");
    BOOST_TEST(lines.next().value_or("none") == "two");
    BOOST_TEST(lines.next().value_or("none").empty());
    BOOST_TEST(lines.next().value_or("none") == "three");
    lines.append("kept\n" + std::string(qemu::shell_line_limit + 1, 'x'));
    lines.append("still too long\nafter\n");
    BOOST_TEST(lines.next().value_or("none") == "kept");
    BOOST_TEST(lines.next().value_or("none") == "after");
    BOOST_TEST(!lines.next().has_value());
}

BOOST_AUTO_TEST_CASE(text_survives_its_encoding) {
    for (const std::string& text :
         {std::string(), std::string("-"), std::string("a b\n\0c", 6), std::string(5000, '\xff')}) {
        const std::string word = qemu::shell_encode(text);
        BOOST_TEST(word.find_first_of(" \n") == std::string::npos);
        BOOST_TEST(!word.empty());
        BOOST_TEST(qemu::shell_decode(word) == text);
    }
    BOOST_CHECK_THROW(qemu::shell_decode("?"), base::Error);
}

BOOST_AUTO_TEST_CASE(output_errors_and_code_come_back_past_noise) {
    Guest guest;
    std::thread inside([&] {
        guest.say("BdsDxe: starting\r\n\033[2Jready nonsense\nout 1 !!!\n");
        const auto request = guest.next_request();
        BOOST_REQUIRE(request.size() == 5U);
        BOOST_TEST(request[0] == "run");
        BOOST_TEST(request[2] == "2000");
        BOOST_TEST(qemu::shell_decode(request[3]) == "ls /");
        BOOST_TEST(qemu::shell_decode(request[4]) == "input\n");
        const std::string& id = request[1];
        guest.say("out " + id + " " + qemu::shell_encode("a\n") + "\nend 999 0\nerr " + id + " " +
                  qemu::shell_encode("oops") + "\nout " + id + " " + qemu::shell_encode("b\n") + "\nend " + id +
                  " 3\n");
    });
    qemu::ShellClient client(std::move(guest.host));
    const qemu::ShellResult result = client.run("ls /", "input\n", Seconds(2));
    inside.join();
    BOOST_TEST(result.code == 3);
    BOOST_TEST(result.output == "a\nb\n");
    BOOST_TEST(result.errors == "oops");
}

BOOST_AUTO_TEST_CASE(a_failure_says_the_command_and_why) {
    Guest guest;
    std::thread inside([&] {
        const auto request = guest.next_request();
        BOOST_REQUIRE(request.size() == 5U);
        guest.say("fail " + request[1] + " " + qemu::shell_encode("no such shell") + "\n");
    });
    qemu::ShellClient client(std::move(guest.host));
    BOOST_CHECK_EXCEPTION(client.run("true", {}, Seconds(2)), base::Error, [](const base::Error& error) {
        return std::string(error.what()) == "guest shell: true: no such shell";
    });
    inside.join();
}

BOOST_AUTO_TEST_CASE(a_shell_that_is_started_anew_does_not_answer_for_the_old_one) {
    Guest guest;
    qemu::ShellClient client(std::move(guest.host));
    std::thread inside([&] {
        const std::string first = fmt::format("\nready {} 1\n", boot_a);
        std::array<char, 4096> request{};
        do
            guest.say(first);
        while (::recv(guest.port.get(), request.data(), request.size(), MSG_DONTWAIT) <= 0);
        guest.say(first + fmt::format("\nready {} 2\n", boot_a)); // one more of the old was under way
    });
    BOOST_CHECK_THROW(client.run("kill 1", {}, Seconds(60)), qemu::ShellRestarted);
    inside.join();
}

BOOST_AUTO_TEST_CASE(a_reboot_is_another_boot_id) {
    Guest guest;
    qemu::ShellClient client(std::move(guest.host));
    std::thread inside([&] {
        for (int i = 0; i < 2000; ++i) {
            const std::string line = fmt::format("\nready {}\n", i < 1000 ? boot_a : boot_b);
            if (::send(guest.port.get(), line.data(), line.size(), MSG_NOSIGNAL) < 0)
                return;
        }
    });
    BOOST_TEST(client.wait_ready(Deadline(Seconds(10))) == boot_a);
    BOOST_TEST(client.wait_reboot(boot_a, Deadline(Seconds(10))) == boot_b);
    client = qemu::ShellClient(base::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    inside.join();
}

BOOST_AUTO_TEST_CASE(silence_and_the_end_are_errors) {
    Guest guest;
    qemu::ShellClient client(std::move(guest.host));
    guest.say("BdsDxe: starting\n");
    BOOST_CHECK_THROW(client.wait_ready(Deadline(Seconds(0.05))), base::Error);
    guest.port.reset();
    BOOST_CHECK_EXCEPTION(client.wait_ready(Deadline(Seconds(600))), base::Error, [](const base::Error& error) {
        return std::string(error.what()).find("the machine ended") != std::string::npos;
    });
}

BOOST_AUTO_TEST_SUITE_END()
