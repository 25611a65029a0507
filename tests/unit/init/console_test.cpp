#include "console.hpp"

#include <boost/test/unit_test.hpp>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "base/unique_fd.hpp"

namespace {

struct Pipe {
    base::UniqueFd reader;
    base::UniqueFd writer;
    Pipe() {
        int ends[2];
        BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
        reader.reset(ends[0]);
        writer.reset(ends[1]);
        BOOST_REQUIRE(::fcntl(ends[1], F_SETPIPE_SZ, 4096) == 4096);
    }
    std::string drain() const {
        std::string all(1 << 20, '\0');
        const ssize_t size = ::read(reader.get(), all.data(), all.size());
        all.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        return all;
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(console)

BOOST_AUTO_TEST_CASE(writes_at_once_when_there_is_room) {
    const Pipe pipe;
    const auto console = std::make_unique<init::Console>();
    console->attach(pipe.writer.get());
    console->write("hello");
    BOOST_TEST(pipe.drain() == "hello\r\n");
    BOOST_TEST(!console->pending());
}

BOOST_AUTO_TEST_CASE(never_waits_drops_whole_lines_and_tells_how_many) {
    const Pipe pipe;
    const auto console = std::make_unique<init::Console>();
    console->attach(pipe.writer.get());
    const int lines = 2000;
    for (int i = 0; i < lines; ++i)
        console->write("line number " + std::to_string(i));
    BOOST_TEST(console->pending());
    BOOST_TEST(console->dropped() > 0U);
    const std::uint64_t dropped = console->dropped();

    std::string seen;
    const auto read_out = [&] {
        for (int turn = 0; turn < 100 && console->pending(); ++turn) {
            seen += pipe.drain();
            console->flush();
        }
        seen += pipe.drain();
    };
    read_out();
    console->write("after");
    read_out();
    BOOST_TEST(seen.find("init: " + std::to_string(dropped) + " lines dropped") != std::string::npos);
    BOOST_TEST(seen.ends_with("after\r\n"));
    // Each line that is there is whole.
    int whole = 0;
    std::size_t start = 0;
    while (start < seen.size()) {
        const std::size_t end = seen.find("\r\n", start);
        BOOST_REQUIRE(end != std::string::npos);
        whole += seen.compare(start, 12, "line number ") == 0 ? 1 : 0;
        start = end + 2;
    }
    BOOST_TEST(static_cast<std::uint64_t>(whole) + dropped == static_cast<std::uint64_t>(lines));
}

BOOST_AUTO_TEST_CASE(a_terminal_that_is_gone_does_no_harm) {
    Pipe pipe;
    const auto console = std::make_unique<init::Console>();
    console->attach(pipe.writer.get());
    pipe.reader.reset();
    ::signal(SIGPIPE, SIG_IGN);
    console->write("nobody reads");
    BOOST_TEST(!console->pending());
    console->attach(-1);
    console->write("nothing");
    BOOST_TEST(!console->pending());
}

BOOST_AUTO_TEST_SUITE_END()
