#include "init/client.hpp"

#include <boost/test/unit_test.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "base/error.hpp"

namespace {

using init::Message;

/// One end of a pair with a thread that answers one request.
template <typename Answer>
void with_server(Answer&& answer, const std::function<void(init::Client&)>& body) {
    int ends[2];
    BOOST_REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    init::Client client{base::UniqueFd(ends[0])};
    base::UniqueFd server(ends[1]);
    std::thread thread([&] {
        Message request{};
        if (::recv(server.get(), &request, sizeof request, 0) == static_cast<ssize_t>(sizeof request))
            answer(server, request);
        server.reset();
    });
    try {
        body(client);
    } catch (...) {
        thread.join();
        throw;
    }
    thread.join();
}

void reply(const base::UniqueFd& server, const Message& message) {
    (void)!::send(server.get(), &message, sizeof message, MSG_NOSIGNAL);
}

bool has_error(const base::Error& error, int number) {
    return error.error() == number;
}

} // namespace

BOOST_AUTO_TEST_SUITE(client)

BOOST_AUTO_TEST_CASE(status_is_read_and_its_text_ends) {
    with_server(
        [](base::UniqueFd& server, Message answer) {
            init::Status status{};
            status.engine_pid = 42;
            std::memset(status.revision, 'x', sizeof status.revision); // no NUL
            answer.length = sizeof status;
            std::memcpy(answer.payload, &status, sizeof status);
            reply(server, answer);
        },
        [](init::Client& client) {
            const init::Status status = client.status();
            BOOST_TEST(status.engine_pid == 42);
            BOOST_TEST(std::string(status.revision) == std::string(sizeof status.revision - 1, 'x'));
        });
}

BOOST_AUTO_TEST_CASE(errors_name_the_operation) {
    with_server(
        [](base::UniqueFd& server, Message answer) {
            answer.error = EBUSY;
            reply(server, answer);
        },
        [](init::Client& client) {
            BOOST_CHECK_EXCEPTION(client.reboot("why"), base::Error, [](const base::Error& error) {
                return error.error() == EBUSY && std::string(error.what()).starts_with("init reboot: ");
            });
        });
}

BOOST_AUTO_TEST_CASE(the_reason_and_force_are_sent) {
    with_server(
        [](base::UniqueFd& server, Message answer) {
            const bool right = answer.argument == init::shutdown_force &&
                               std::string_view(reinterpret_cast<char*>(answer.payload), answer.length) == "because";
            answer.error = right ? 0 : EINVAL;
            reply(server, answer);
        },
        [](init::Client& client) { client.poweroff("because", true); });
}

BOOST_AUTO_TEST_CASE(a_closed_connection_and_a_wrong_answer_are_errors) {
    with_server([](base::UniqueFd& server, const Message&) { server.reset(); },
                [](init::Client& client) {
                    BOOST_CHECK_EXCEPTION(client.status(), base::Error,
                                          [](const base::Error& error) { return has_error(error, EACCES); });
                });
    with_server([](base::UniqueFd& server, Message answer) { reply(server, answer); }, // length 0: no Status
                [](init::Client& client) {
                    BOOST_CHECK_EXCEPTION(client.status(), base::Error,
                                          [](const base::Error& error) { return has_error(error, EPROTO); });
                });
    with_server(
        [](base::UniqueFd& server, Message answer) {
            answer.operation = 99;
            reply(server, answer);
        },
        [](init::Client& client) {
            BOOST_CHECK_EXCEPTION(client.revision_good("x"), base::Error,
                                  [](const base::Error& error) { return has_error(error, EPROTO); });
        });
}

BOOST_AUTO_TEST_CASE(log_lines_and_their_end) {
    with_server(
        [](base::UniqueFd& server, Message answer) {
            init::LogRecord record{};
            record.sequence = answer.argument + 3;
            record.level = 4;
            record.length = 5;
            std::memcpy(record.text, "hello", 5);
            answer.length = sizeof record;
            std::memcpy(answer.payload, &record, sizeof record);
            reply(server, answer);
        },
        [](init::Client& client) {
            const auto line = client.log_line(7);
            BOOST_REQUIRE(line.has_value());
            BOOST_TEST(line->sequence == 10U);
            BOOST_TEST(line->text == "hello");
        });
    with_server(
        [](base::UniqueFd& server, Message answer) {
            answer.error = ENODATA;
            reply(server, answer);
        },
        [](init::Client& client) { BOOST_TEST(!client.log_line(0).has_value()); });
    with_server(
        [](base::UniqueFd& server, Message answer) {
            init::LogRecord record{};
            record.length = sizeof record.text + 1;
            answer.length = sizeof record;
            std::memcpy(answer.payload, &record, sizeof record);
            reply(server, answer);
        },
        [](init::Client& client) { BOOST_CHECK_THROW(client.log_line(0), base::Error); });
}

BOOST_AUTO_TEST_CASE(engine_alive_never_waits) {
    int ends[2];
    BOOST_REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    init::Client client{base::UniqueFd(ends[0])};
    base::UniqueFd server(ends[1]);
    bool sent = true;
    for (int i = 0; i < 5000 && sent; ++i)
        sent = client.engine_alive();
    BOOST_TEST(!sent); // full, nobody reads
    server.reset();
    BOOST_TEST(!client.engine_alive());
}

BOOST_AUTO_TEST_CASE(the_inherited_descriptor_is_checked) {
    int ends[2];
    BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const base::UniqueFd reader(ends[0]);
    const base::UniqueFd writer(ends[1]);
    BOOST_CHECK_THROW(init::Client::inherited(reader.get()), base::Error);
    BOOST_CHECK_THROW(init::Client::connect("/nowhere/init.sock"), base::Error);
    BOOST_CHECK_THROW(init::Client::connect(std::string(200, 'x')), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
