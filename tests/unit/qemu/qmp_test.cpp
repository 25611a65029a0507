#include <boost/test/unit_test.hpp>

#include <sys/socket.h>

#include <thread>

#include "base/error.hpp"
#include "base/files.hpp"
#include "qemu/qmp.hpp"

using qemu::Deadline;
using qemu::Seconds;

namespace {

/// QEMU's side: after its greeting it answers each line it gets with the next of `answers`.
class FakeQemu {
public:
    explicit FakeQemu(std::vector<std::string> answers, std::string greeting = R"({"QMP": {"version": {}}})") {
        std::array<int, 2> ends{};
        base::check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
        client.reset(ends[0]);
        thread_ = std::thread(
            [this, end = base::UniqueFd(ends[1]), answers = std::move(answers), greeting = std::move(greeting)] {
                base::write_all(end.get(), greeting + "\r\n", "fake");
                for (const std::string& answer : answers) {
                    std::string line;
                    for (char byte = 0; byte != '\n'; line += byte)
                        if (::read(end.get(), &byte, 1) != 1)
                            return;
                    requests += line;
                    base::write_all(end.get(), answer + "\r\n", "fake");
                }
            });
    }
    ~FakeQemu() { join(); }
    void join() {
        if (thread_.joinable())
            thread_.join();
    }
    base::UniqueFd client;
    std::string requests; ///< complete after `join`

private:
    std::thread thread_;
};

constexpr const char* done = R"({"return": {}})";

} // namespace

BOOST_AUTO_TEST_SUITE(qmp)

BOOST_AUTO_TEST_CASE(commands_and_their_results) {
    FakeQemu fake({done, R"({"return": {"status": "running"}})"});
    {
        qemu::Qmp qmp(std::move(fake.client));
        BOOST_TEST(qmp.execute("query-status", R"({"x": 1})") == R"({"status":"running"})");
    }
    fake.join();
    BOOST_TEST(fake.requests.find("{\"execute\": \"qmp_capabilities\"}\n") == 0U);
    BOOST_TEST(fake.requests.find(R"("query-status", "arguments": {"x": 1}})") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_refusal_is_an_error_with_its_reason) {
    FakeQemu fake({done, R"({"error": {"class": "GenericError", "desc": "no such thing"}})"});
    qemu::Qmp qmp(std::move(fake.client));
    BOOST_CHECK_EXCEPTION(qmp.execute("system_reset"), base::Error, [](const base::Error& error) {
        return std::string(error.what()).find("system_reset: no such thing") != std::string::npos;
    });
}

BOOST_AUTO_TEST_CASE(events_between_answers_are_kept) {
    FakeQemu fake({done,
                   R"({"event": "RESET", "data": {"guest": true}})"
                   "\r\n"
                   R"({"return": {}})",
                   R"({"event": "SHUTDOWN", "timestamp": {}})"
                   "\r\n"
                   R"({"return": {}})"});
    qemu::Qmp qmp(std::move(fake.client));
    qmp.execute("one");
    BOOST_TEST(qmp.wait_event("RESET", Deadline(Seconds(5))).value_or("") == R"({"guest":true})");
    BOOST_TEST(!qmp.wait_event("RESET", Deadline(Seconds(0))).has_value());
    qmp.execute("two");
    BOOST_TEST(qmp.wait_event("SHUTDOWN", Deadline(Seconds(5))).has_value());
}

BOOST_AUTO_TEST_CASE(what_is_not_qmp_or_not_json_or_cut_off_is_an_error) {
    {
        FakeQemu fake({}, "SSH-2.0-OpenSSH");
        BOOST_CHECK_THROW(qemu::Qmp(std::move(fake.client)), base::Error);
    }
    {
        FakeQemu fake({"{]"});
        BOOST_CHECK_THROW(qemu::Qmp(std::move(fake.client)), base::Error);
    }
    {
        FakeQemu fake({});
        BOOST_CHECK_THROW(qemu::Qmp(std::move(fake.client)), base::Error);
    }
}

BOOST_AUTO_TEST_SUITE_END()
