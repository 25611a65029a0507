// The monitor with a runtime that is a shell script: no root needed, every end can be made to happen.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <thread>

#include "base/error.hpp"
#include "base/files.hpp"
#include "core/monitor_client.hpp"
#include "engine/log_reader.hpp"
#include "monitor/exit_record.hpp"
#include "monitor/monitor.hpp"

namespace {

using namespace std::chrono_literals;
using engine::MonitorConnection;
using engine::ParsedState;
using engine::monitor::MessageType;
using engine::monitor::Phase;
using engine::monitor::Role;

/// "create" leaves a process behind that waits for "start", then becomes BUNDLE/command.
constexpr const char* runtime_script = R"(#!/bin/sh
[ "$1" = --root ] && shift 2
operation=$1; shift
while [ $# -gt 0 ]; do case $1 in
  --bundle) bundle=$2; shift 2;; --pid-file) pid_file=$2; shift 2;; --process) process=$2; shift 2;;
  --detach) shift;; *) id=$1; shift;; esac; done
here=$(dirname "$0")
case $operation in
create)
  if [ -e "$here/create-fails" ]; then echo "create: no" >&2; exit 1; fi
  mkfifo "$here/go"
  # Descriptor 0 of a background process is /dev/null unless it is said otherwise.
  exec 9<&0
  sh -c 'read x < "$1/go"; exec sh "$2/command" 9<&-' sh "$here" "$bundle" <&9 9<&- &
  echo $! > "$pid_file";;
start)
  if [ -e "$here/start-fails" ]; then echo "start: no" >&2; exit 1; fi
  echo > "$here/go";;
exec)
  exec 9<&0
  sh "$process" <&9 9<&- & echo $! > "$pid_file";;
esac
)";

class MonitorFixture {
public:
    MonitorFixture() {
        ::signal(SIGPIPE, SIG_IGN);
        options.id = "c1";
        options.runtime = directory / "runtime";
        options.runtime_root = directory / "root";
        options.run_directory = directory / "run";
        options.bundle = directory / "bundle";
        options.log = directory / "log";
        base::make_directories(options.run_directory);
        base::make_directories(options.bundle);
        base::write_durable(options.runtime, runtime_script, 0755);
    }
    ~MonitorFixture() {
        if (monitor > 0) {
            ::kill(monitor, SIGKILL);
            ::waitpid(monitor, nullptr, 0);
        }
    }

    void command(const std::string& script) { base::write_durable(directory / "bundle/command", script); }

    void start_monitor() {
        base::UniqueFd listener = engine::listen_for_monitor(options.run_directory);
        monitor = ::fork();
        BOOST_REQUIRE(monitor >= 0);
        if (monitor == 0) {
            if (listener.get() == engine::monitor::socket_fd)
                listener.release();
            else
                ::dup2(listener.get(), engine::monitor::socket_fd);
            ::_exit(engine::monitor::Monitor(options).run());
        }
    }

    std::unique_ptr<MonitorConnection> control() {
        auto connection = MonitorConnection::connect(options.run_directory, Role::control);
        BOOST_REQUIRE(connection);
        return connection;
    }

    /// The state once it is in `phase`; fails after 30 s.
    ParsedState await(MonitorConnection& connection, Phase phase) {
        connection.send(MessageType::get_state);
        const auto deadline = std::chrono::steady_clock::now() + 30s;
        MonitorConnection::Message message;
        while (std::chrono::steady_clock::now() < deadline) {
            const auto received = connection.receive(message, 1000);
            BOOST_REQUIRE(received != MonitorConnection::Received::closed);
            if (received != MonitorConnection::Received::message || message.type != MessageType::state)
                continue;
            const auto state = engine::parse_state(message.payload);
            BOOST_REQUIRE(state.has_value());
            if (state->phase() == phase)
                return *state;
        }
        BOOST_FAIL("the monitor does not come to phase " << static_cast<int>(phase));
        return {};
    }

    /// Reaps the monitor; its wait status.
    int monitor_end() {
        int status = -1;
        BOOST_REQUIRE(::waitpid(monitor, &status, 0) == monitor);
        monitor = 0;
        return status;
    }

    engine::monitor::ExitRecord record() {
        const auto parsed = engine::monitor::parse_exit_record(base::read_file(directory / "run/exit"));
        BOOST_REQUIRE(parsed.has_value());
        return *parsed;
    }

    std::string log_text() {
        std::string text;
        engine::LogReader reader(options.log, {});
        while (const auto entry = reader.next(0ms))
            text += (entry->standard_error ? "E:" : "O:") + entry->text;
        return text;
    }

    static std::string read_all(engine::Attachment& attachment) {
        std::string text;
        while (const auto output = attachment.read())
            text += output->data;
        return text;
    }

    base::TempDir directory;
    engine::monitor::Options options;
    pid_t monitor = 0;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(monitor, MonitorFixture)

BOOST_AUTO_TEST_CASE(a_life_from_creation_to_the_exit_record) {
    command("echo out; echo err >&2; exit 5");
    start_monitor();
    auto connection = control();
    const auto created = await(*connection, Phase::created);
    BOOST_TEST(created.state.pid > 0);
    engine::MonitorAttachment attachment({});
    BOOST_TEST(attachment.connect(options.run_directory));
    connection->send(MessageType::start);
    const auto ended = await(*connection, Phase::exited);
    BOOST_TEST(ended.state.exit_code == 5);
    BOOST_TEST(ended.state.started_nsec > 0);
    BOOST_TEST(ended.state.finished_nsec >= ended.state.started_nsec);
    const std::string seen = read_all(attachment); // two pipes: their order is open
    BOOST_TEST(seen.find("out\n") != std::string::npos);
    BOOST_TEST(seen.find("err\n") != std::string::npos);
    BOOST_TEST(monitor_end() == 0);
    BOOST_TEST(record().code == 5);
    BOOST_TEST(log_text().find("O:out\n") != std::string::npos);
    BOOST_TEST(log_text().find("E:err\n") != std::string::npos);
    BOOST_TEST(!MonitorConnection::connect(options.run_directory, Role::control)); // nobody listens any more
}

BOOST_AUTO_TEST_CASE(nobody_need_be_there_when_it_ends) {
    command("echo alone; exit 3");
    start_monitor();
    {
        auto connection = control();
        await(*connection, Phase::created);
        connection->send(MessageType::start);
        await(*connection, Phase::running);
    }
    BOOST_TEST(monitor_end() == 0);
    BOOST_TEST(record().code == 3);
    BOOST_TEST(log_text() == "O:alone\n");
}

BOOST_AUTO_TEST_CASE(signals_reach_the_container_and_not_the_monitor) {
    command("trap 'exit 7' USR1; while :; do sleep 0.05; done");
    start_monitor();
    auto connection = control();
    await(*connection, Phase::created);
    connection->send(MessageType::start);
    await(*connection, Phase::running);
    for (const int signal : {SIGTERM, SIGHUP, SIGINT, SIGPIPE})
        ::kill(monitor, signal);
    connection->send_signal(SIGKILL);
    const auto ended = await(*connection, Phase::exited);
    BOOST_TEST(ended.state.exit_signal == SIGKILL);
    BOOST_TEST(monitor_end() == 0);
    BOOST_TEST(record().signal == SIGKILL);
}

BOOST_AUTO_TEST_CASE(input_goes_in_and_ends_with_the_first_client) {
    options.open_stdin = options.stdin_once = true;
    command("cat");
    start_monitor();
    auto connection = control();
    await(*connection, Phase::created);
    engine::MonitorAttachment attachment({true, true, true});
    BOOST_REQUIRE(attachment.connect(options.run_directory));
    connection->send(MessageType::start);
    await(*connection, Phase::running);
    std::string big;
    for (int i = 0; i < 40'000; ++i)
        big += std::to_string(i) + "\n";
    std::thread writer([&] {
        attachment.write_stdin(big);
        attachment.close_stdin();
    });
    const std::string seen = read_all(attachment);
    writer.join();
    BOOST_TEST((seen == big));
    BOOST_TEST(await(*connection, Phase::exited).state.exit_code == 0);
}

BOOST_AUTO_TEST_CASE(a_client_that_does_not_read_holds_the_container_and_loses_nothing) {
    command("i=0; while [ $i -lt 20000 ]; do echo 'forty characters of text in every line 12'; i=$((i+1)); done");
    start_monitor();
    auto connection = control();
    await(*connection, Phase::created);
    engine::MonitorAttachment slow({});
    BOOST_REQUIRE(slow.connect(options.run_directory));
    connection->send(MessageType::start);
    await(*connection, Phase::running);
    // 840 kB do not fit socket and pipe: it cannot end while nobody reads.
    std::this_thread::sleep_for(300ms);
    MonitorConnection::Message message;
    BOOST_TEST((connection->receive(message, 0) == MonitorConnection::Received::nothing));
    BOOST_TEST(read_all(slow).size() == 20000U * 42);
    await(*connection, Phase::exited);
    BOOST_TEST(monitor_end() == 0);
}

BOOST_AUTO_TEST_CASE(a_client_that_goes_lets_the_container_go_on) {
    command(
        "i=0; while [ $i -lt 20000 ]; do echo 'forty characters of text in every line 12'; i=$((i+1)); done; exit 4");
    start_monitor();
    auto connection = control();
    await(*connection, Phase::created);
    {
        engine::MonitorAttachment hung({});
        BOOST_REQUIRE(hung.connect(options.run_directory));
        connection->send(MessageType::start);
        await(*connection, Phase::running);
        BOOST_REQUIRE(hung.read().has_value());
    }
    BOOST_TEST(await(*connection, Phase::exited).state.exit_code == 4);
}

BOOST_AUTO_TEST_CASE(a_failed_creation_is_told_with_the_runtimes_words) {
    base::write_durable(directory / "create-fails", "");
    start_monitor();
    auto connection = control();
    BOOST_TEST(await(*connection, Phase::failed).error == "create: no");
    BOOST_TEST(monitor_end() == 0);
    BOOST_TEST(record().failed);
    BOOST_TEST(record().error == "create: no");
}

BOOST_AUTO_TEST_CASE(a_failed_start_kills_what_was_created) {
    base::write_durable(directory / "start-fails", "");
    command("true");
    start_monitor();
    auto connection = control();
    const pid_t pid = await(*connection, Phase::created).state.pid;
    connection->send(MessageType::start);
    BOOST_TEST(await(*connection, Phase::failed).error == "start: no");
    BOOST_TEST(::kill(pid, 0) < 0);
    BOOST_TEST(monitor_end() == 0);
}

BOOST_AUTO_TEST_CASE(a_runtime_that_is_not_there_is_told) {
    options.runtime = directory / "no-such-runtime";
    start_monitor();
    auto connection = control();
    BOOST_TEST(await(*connection, Phase::failed).error == "exec " + options.runtime + ": No such file or directory");
}

BOOST_AUTO_TEST_CASE(an_exec_waits_for_its_start) {
    base::write_durable(directory / "process", "cat; exit 6");
    options.bundle.clear();
    options.log.clear();
    options.process = directory / "process";
    options.open_stdin = options.stdin_once = true;
    start_monitor();
    auto connection = control();
    await(*connection, Phase::created);
    engine::MonitorAttachment attachment({true, true, true});
    BOOST_REQUIRE(attachment.connect(options.run_directory));
    attachment.write_stdin("early input\n"); // waits in the socket
    connection->send(MessageType::start);
    await(*connection, Phase::running);
    attachment.close_stdin();
    BOOST_TEST(read_all(attachment) == "early input\n");
    BOOST_TEST(await(*connection, Phase::exited).state.exit_code == 6);
}

BOOST_AUTO_TEST_CASE(what_is_not_the_protocol_is_disconnected) {
    command("exit 0");
    start_monitor();
    auto good = control();
    await(*good, Phase::created);
    {
        // A control client may not send what belongs to an attached one; nothing happens, nothing breaks.
        good->send(MessageType::input, "x");
        good->send(static_cast<MessageType>(999), "unknown");
        good->send(MessageType::signal, "sh");
        good->send(MessageType::resize, "");
    }
    await(*good, Phase::created);
    good->send(MessageType::start);
    await(*good, Phase::exited);
}

BOOST_AUTO_TEST_CASE(an_attachment_waits_until_it_is_connected) {
    command("echo first");
    engine::MonitorAttachment early({});
    std::string seen;
    std::thread reader([&] { seen = read_all(early); });
    start_monitor();
    auto connection = control();
    await(*connection, Phase::created);
    early.connect(options.run_directory);
    connection->send(MessageType::start);
    reader.join();
    BOOST_TEST(seen == "first\n");
}

BOOST_AUTO_TEST_CASE(closing_wakes_a_reader) {
    engine::MonitorAttachment never({});
    std::thread closer([&] { never.close(); });
    BOOST_TEST(!never.read().has_value());
    closer.join();
    BOOST_CHECK_THROW(never.write_stdin("x"), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
