// The monitor with a runtime that is a shell script.
#include <sys/stat.h>

#include "base/error.hpp"
#include "monitor_fixture.hpp"

using namespace monitor_test;

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
    good->send(MessageType::get_state);
    MonitorConnection::Message answer;
    BOOST_REQUIRE(good->receive(answer, 30'000) == MonitorConnection::Received::message);
    BOOST_TEST((answer.type == MessageType::state && good->state().phase() == Phase::created));
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
