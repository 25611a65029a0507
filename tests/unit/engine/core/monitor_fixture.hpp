// A monitor whose runtime is a shell script: no root needed, every end can be made to happen.
#pragma once
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <thread>

#include "base/files.hpp"
#include "core/monitor_client.hpp"
#include "engine/log_reader.hpp"
#include "monitor/exit_record.hpp"
#include "monitor/monitor.hpp"

namespace monitor_test {

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
        const auto deadline = std::chrono::steady_clock::now() + 30s;
        MonitorConnection::Message message;
        while (connection.state().phase() != phase) {
            if (std::chrono::steady_clock::now() >= deadline)
                BOOST_FAIL("the monitor does not come to phase " << static_cast<int>(phase));
            BOOST_REQUIRE(connection.receive(message, 1000) != MonitorConnection::Received::closed);
        }
        return connection.state();
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

} // namespace monitor_test
