// A container's life, with the real runtime.
#include <signal.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <thread>

#include "engine_rig.hpp"

using namespace engine_test;
using engine::ErrorKind;
using engine::Status;

namespace {

struct Running : EngineRig {
    Running() { start(); }
};

auto is_kind(ErrorKind kind) {
    return [kind](const engine::EngineError& error) {
        BOOST_TEST_MESSAGE(error.what());
        return error.kind() == kind;
    };
}

engine::ContainerConfig with_restart(const std::string& script, engine::RestartPolicy::Kind kind,
                                     unsigned retries = 0) {
    auto config = EngineRig::shell(script);
    config.restart = {kind, retries};
    return config;
}

constexpr const char* patient = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done";

} // namespace

BOOST_FIXTURE_TEST_SUITE(containers, Running)

BOOST_AUTO_TEST_CASE(output_exit_code_and_log) {
    const std::string id = (*this)->create("one", shell("echo out; echo err >&2; exit 3"), user);
    BOOST_TEST(((*this)->get("one").state.status == Status::created));
    const auto attachment = (*this)->attach(id, {}, user);
    auto waiter = (*this)->wait(id, engine::WaitCondition::next_exit);
    (*this)->start_container("one", user);
    std::string out, error;
    while (const auto output = attachment->read())
        (output->stream == engine::StdStream::error ? error : out) += output->data;
    BOOST_TEST(out == "out\n");
    BOOST_TEST(error == "err\n");
    const auto result = waiter.wait_for(long_enough);
    BOOST_REQUIRE(result.has_value());
    BOOST_TEST(result->exit_code == 3);
    const auto info = (*this)->get(id.substr(0, 12));
    BOOST_TEST((info.state.status == Status::exited));
    BOOST_TEST(info.state.exit_code == 3);
    BOOST_TEST(info.state.pid == 0);
    BOOST_TEST(log_of(id).find("out\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_a_container_sees_is_its_own) {
    auto config =
        shell("echo $$; hostname; grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status; "
              "touch /proc/sys/kernel/hostname 2>/dev/null || echo sys-ro; ls /proc | grep -c '^[0-9]*$'; "
              "cat /etc/hostname; test -e /sys/firmware/efi || echo no-efi; mount -t tmpfs x /etc || echo no-mount");
    config.hostname = "inside";
    const std::string seen = output_of(config);
    const auto has = [&](const std::string& text) {
        BOOST_TEST(seen.find(text) != std::string::npos, seen << " lacks " << text);
    };
    has("1\ninside\n");
    has("CapEff:\t00000000a80425fb"); // the 14
    has("CapBnd:\t00000000a80425fb");
    has("Seccomp:\t2");
    has("sys-ro\n");
    has("no-efi\n");
    has("no-mount\n");
}

BOOST_AUTO_TEST_CASE(users_and_environment) {
    auto config = shell("id -u; id -g; echo $HOME $X");
    config.user = "www";
    config.env = {"X=42"};
    BOOST_TEST(output_of(config) == "33\n33\n/ 42\n");
    config.user = "nobody-there";
    const std::string id = (*this)->create("", config, user);
    BOOST_CHECK_EXCEPTION((*this)->start_container(id, user), engine::EngineError, is_kind(ErrorKind::failed));
    BOOST_TEST((*this)->get(id).state.error.find("nobody-there") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(binds_tmpfs_and_a_read_only_root) {
    base::make_directories(directory() / "shared");
    auto config =
        shell("echo hi > /data/file; touch /x 2>/dev/null || echo root-ro; touch /ro/x 2>/dev/null || echo bind-ro; "
              "touch /tmpfs/x && echo tmpfs-rw");
    engine::ContainerMount data, read_only, tmpfs;
    data.source = read_only.source = directory() / "shared";
    data.target = "/data";
    read_only.target = "/ro";
    read_only.read_only = true;
    tmpfs.type = engine::ContainerMount::Type::tmpfs;
    tmpfs.target = "/tmpfs";
    config.mounts = {data, read_only, tmpfs};
    config.read_only_rootfs = true;
    BOOST_TEST(output_of(config) == "root-ro\nbind-ro\ntmpfs-rw\n");
    BOOST_TEST(base::read_file(directory() / "shared/file") == "hi\n");
}

BOOST_AUTO_TEST_CASE(stop_asks_first_and_kills_later) {
    const std::string polite = run("polite", shell(patient));
    wait_until("it is ready", [&] { return log_of(polite) == "ready\n"; });
    (*this)->stop(polite, 20, user);
    BOOST_TEST((*this)->get(polite).state.exit_code == 0);
    BOOST_CHECK_EXCEPTION((*this)->stop(polite, 1, user), engine::EngineError, is_kind(ErrorKind::not_modified));

    const std::string stubborn = run("stubborn", shell("trap '' TERM; echo ready; while :; do sleep 0.1; done"));
    wait_until("it is ready", [&] { return log_of(stubborn) == "ready\n"; });
    (*this)->stop(stubborn, 1, user);
    BOOST_TEST((*this)->get(stubborn).state.exit_code == 137);
    (*this)->start_container(stubborn, user);
    BOOST_CHECK_EXCEPTION((*this)->start_container(stubborn, user), engine::EngineError,
                          is_kind(ErrorKind::not_modified));
    BOOST_CHECK_EXCEPTION((*this)->remove(stubborn, false, user), engine::EngineError, is_kind(ErrorKind::conflict));
    (*this)->remove(stubborn, true, user);
    BOOST_TEST(!(*this)->find(stubborn).has_value());
}

BOOST_AUTO_TEST_CASE(a_forced_removal_does_not_wait_for_a_patient_stop) {
    const std::string id = run("stubborn", shell("trap '' TERM; echo ready; while :; do sleep 0.1; done"));
    wait_until("it is ready", [&] { return log_of(id) == "ready\n"; });
    std::thread stopper([&] {
        try {
            (*this)->stop(id, 600, user);
        } catch (const engine::EngineError& error) {
            BOOST_TEST((error.kind() == ErrorKind::not_found)); // the removal was first
        }
    });
    (*this)->remove(id, true, user);
    stopper.join();
    BOOST_TEST(!(*this)->find(id).has_value());
}

BOOST_AUTO_TEST_CASE(on_failure_gives_up_after_its_retries) {
    const std::string id = run("failing", with_restart("exit 9", engine::RestartPolicy::Kind::on_failure, 2));
    wait_until("it gives up", [&] {
        const auto state = (*this)->get(id).state;
        return state.status == Status::exited && state.restart_count == 2;
    });
    BOOST_TEST((*this)->get(id).state.exit_code == 9);
    const std::string good = run("good", with_restart("exit 0", engine::RestartPolicy::Kind::on_failure, 2));
    wait_end(good);
    BOOST_TEST((*this)->get(good).state.restart_count == 0U);
}

BOOST_AUTO_TEST_CASE(always_restarts_until_somebody_stops_it) {
    const std::string id = run("always", with_restart("echo run; sleep 0.1", engine::RestartPolicy::Kind::always));
    wait_until("it has restarted twice", [&] { return (*this)->get(id).state.restart_count >= 2; });
    (*this)->stop(id, 0, user);
    BOOST_TEST(((*this)->get(id).state.status == Status::exited));
    const unsigned count = (*this)->get(id).state.restart_count;
    // One more start would come after its third pause. Another's three pauses, which begin now, are longer.
    const std::string clock = run("clock", with_restart("exit 0", engine::RestartPolicy::Kind::always));
    wait_until("the other has restarted", [&] { return (*this)->get(clock).state.restart_count >= count + 1; });
    (*this)->stop(clock, 0, user);
    BOOST_TEST(((*this)->get(id).state.status == Status::exited));
    BOOST_TEST((*this)->get(id).state.restart_count == count);
}

BOOST_AUTO_TEST_CASE(a_killed_process_is_restarted_a_killed_container_is_not) {
    const std::string id = run("always", with_restart(patient, engine::RestartPolicy::Kind::always));
    ::kill((*this)->get(id).state.pid, SIGKILL);
    wait_until("it was restarted", [&] {
        const auto state = (*this)->get(id).state;
        return state.restart_count == 1 && state.running();
    });
    (*this)->kill(id, "KILL", user);
    BOOST_TEST(wait_end(id).exit_code == 137);
    BOOST_TEST(((*this)->get(id).state.status == Status::exited));
}

BOOST_AUTO_TEST_CASE(a_container_whose_monitor_was_killed_is_handled) {
    const std::string lone = run("lone", shell(patient));
    const std::string kept = run("kept", with_restart(patient, engine::RestartPolicy::Kind::always));
    const pid_t process = (*this)->get(lone).state.pid;
    for (const std::string& id : {lone, kept}) {
        const pid_t monitor = monitor_of(id);
        BOOST_REQUIRE(monitor > 0);
        ::kill(monitor, SIGKILL);
    }
    BOOST_TEST(wait_end(lone).exit_code == 137);
    BOOST_TEST((*this)->get(lone).state.error == "its monitor was killed");
    wait_until("its process is gone", [&] { return ::kill(process, 0) < 0; });
    wait_until("the other was restarted", [&] {
        const auto state = (*this)->get(kept).state;
        return state.restart_count == 1 && state.running();
    });
}

BOOST_AUTO_TEST_CASE(auto_remove_leaves_nothing) {
    auto config = shell("exit 4");
    config.auto_remove = true;
    const std::string id = (*this)->create("once", config, user);
    auto waiter = (*this)->wait(id, engine::WaitCondition::removed);
    (*this)->start_container(id, user);
    const auto result = waiter.wait_for(long_enough);
    BOOST_REQUIRE(result.has_value());
    BOOST_TEST(result->exit_code == 4);
    BOOST_TEST(!(*this)->find("once").has_value());
    BOOST_TEST(
        !base::read_file_if_exists(options().state_directory + "/containers/" + id + "/config.json").has_value());
    BOOST_TEST(::access((options().run_directory + "/containers/" + id).c_str(), F_OK) != 0);
}

BOOST_AUTO_TEST_CASE(a_command_that_is_not_there_is_told) {
    auto config = shell("");
    config.command = {"/no/such"};
    const std::string id = (*this)->create("", config, user);
    const auto attachment = (*this)->attach(id, {}, user);
    BOOST_CHECK_EXCEPTION((*this)->start_container(id, user), engine::EngineError,
                          [](const engine::EngineError& error) {
                              return std::string(error.what()).find("no such file or directory") != std::string::npos;
                          });
    BOOST_TEST(!attachment->read().has_value());
    BOOST_TEST((*this)->get(id).state.exit_code == 127);
    BOOST_TEST(((*this)->get(id).state.status == Status::created));
}

BOOST_AUTO_TEST_CASE(exec_runs_beside_it) {
    const std::string id = run("host", shell(patient));
    engine::ExecConfig config;
    config.command = {"sh", "-c", "read line; echo got $line; exit 5"};
    config.attach_stdin = config.attach_stdout = config.attach_stderr = true;
    const std::string exec = (*this)->create_exec(id, config, user);
    const auto attachment = (*this)->start_exec(exec, false, user);
    attachment->write_stdin("word\n");
    std::string text;
    while (const auto output = attachment->read())
        text += output->data;
    BOOST_TEST(text == "got word\n");
    wait_until("its end is known", [&] { return !(*this)->get_exec(exec).running; });
    BOOST_TEST((*this)->get_exec(exec).exit_code.value() == 5);
    BOOST_CHECK_EXCEPTION((*this)->start_exec(exec, false, user), engine::EngineError, is_kind(ErrorKind::conflict));
}

BOOST_AUTO_TEST_CASE(a_terminal_is_one) {
    auto config = shell("test -t 0 && test -t 1 && echo terminal");
    config.tty = config.open_stdin = true;
    BOOST_TEST(output_of(config) == "terminal\r\n");
}

BOOST_AUTO_TEST_CASE(pause_stops_time) {
    const std::string id = run("paused", shell("while :; do echo x; sleep 0.05; done"));
    wait_until("it writes", [&] { return !log_of(id).empty(); });
    (*this)->pause(id, user);
    BOOST_TEST(((*this)->get(id).state.status == Status::paused));
    // Another that writes as often tells the time: some lines for what was in the pipe, some in which nothing comes.
    const std::string clock = run("clock", shell("while :; do echo x; sleep 0.05; done"));
    const auto lines_of_clock = [&](std::size_t lines) {
        wait_until("the other writes", [&] { return log_of(clock).size() >= lines * 2; });
    };
    lines_of_clock(3);
    const auto before = log_of(id);
    lines_of_clock(9);
    BOOST_TEST(log_of(id) == before);
    (*this)->unpause(id, user);
    wait_until("it writes again", [&] { return log_of(id) != before; });
    (*this)->pause(id, user);
    (*this)->stop(id, 1, user); // a paused one can be stopped
    BOOST_TEST(((*this)->get(id).state.status == Status::exited));
}

BOOST_AUTO_TEST_CASE(health_changes_are_told) {
    auto config = shell("touch /ok; while :; do sleep 0.1; done");
    config.health.kind = engine::HealthConfig::Kind::command;
    config.health.command = {"test", "-e", "/ok"};
    config.health.interval = 200ms;
    config.health.timeout = 5s;
    config.health.retries = 2;
    auto events = (*this)->subscribe();
    const std::string id = run("healthy", config);
    const auto await_health = [&](const std::string& wanted) {
        const auto deadline = std::chrono::steady_clock::now() + long_enough;
        while (std::chrono::steady_clock::now() < deadline)
            if (const auto event = events.next(1s); event && event->action == "health_status: " + wanted)
                return true;
        return false;
    };
    BOOST_TEST(await_health("healthy"));
    engine::ExecConfig spoil;
    spoil.command = {"/bin/busybox", "rm", "/ok"};
    (void)(*this)->start_exec((*this)->create_exec(id, spoil, user), true, user);
    BOOST_TEST(await_health("unhealthy"));
    BOOST_TEST((*this)->get(id).state.failing_streak >= 2U);
}

BOOST_AUTO_TEST_CASE(a_health_command_that_hangs_is_unhealthy_and_killed) {
    auto config = shell(patient);
    config.health.kind = engine::HealthConfig::Kind::command;
    config.health.command = {"sh", "-c", "exec sleep 4242"};
    config.health.interval = 100ms;
    config.health.timeout = 300ms;
    config.health.retries = 1;
    const std::string id = run("hanging", config);
    wait_until("it is unhealthy", [&] { return (*this)->get(id).state.health == engine::Health::unhealthy; });
    (*this)->stop(id, 5, user);
    std::string output;
    for (const auto& result : (*this)->get(id).state.health_log)
        output += result.output + "\n";
    BOOST_TEST(output.find("exceeded timeout") != std::string::npos, output);
}

BOOST_AUTO_TEST_CASE(names_are_taken_once) {
    const std::string id = (*this)->create("name", shell("true"), user);
    BOOST_CHECK_EXCEPTION((*this)->create("name", shell("true"), user), engine::EngineError,
                          is_kind(ErrorKind::conflict));
    (*this)->rename("name", "other", user);
    BOOST_TEST((*this)->get("/other").id == id);
    BOOST_CHECK_EXCEPTION((*this)->get("name"), engine::EngineError, is_kind(ErrorKind::not_found));
    BOOST_CHECK_EXCEPTION((*this)->create("x/y", shell("true"), user), engine::EngineError,
                          is_kind(ErrorKind::invalid));
    auto missing = shell("true");
    missing.image = "nope:1";
    BOOST_CHECK_EXCEPTION((*this)->create("", missing, user), engine::EngineError, is_kind(ErrorKind::not_found));
}

BOOST_AUTO_TEST_CASE(the_file_system_can_be_looked_at_while_it_is_stopped) {
    const std::string id = run("files", shell("echo content > /file"));
    wait_end(id);
    std::string content;
    (*this)->with_rootfs(id, [&](const std::string& directory) { content = base::read_file(directory + "/file"); });
    BOOST_TEST(content == "content\n");
}

BOOST_AUTO_TEST_CASE(many_at_once) {
    std::vector<std::thread> threads;
    std::atomic<int> good = 0;
    for (int i = 0; i < 12; ++i)
        threads.emplace_back([&, i] {
            int code = -1;
            if (output_of(shell("echo " + std::to_string(i) + "; exit " + std::to_string(i)), &code) ==
                    std::to_string(i) + "\n" &&
                code == i)
                ++good;
        });
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(good == 12);
    BOOST_TEST((*this)->list().empty());
}

BOOST_AUTO_TEST_SUITE_END()
