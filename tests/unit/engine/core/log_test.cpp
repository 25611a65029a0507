// What the monitor writes, and what LogReader makes of it.
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <thread>

#include "base/files.hpp"
#include "engine/log_reader.hpp"
#include "monitor/exit_record.hpp"
#include "monitor/log_file.hpp"

namespace {

using namespace std::chrono_literals;
using engine::monitor::LogFile;
constexpr std::int64_t t0 = 1'700'000'000'000'000'000;

struct Log {
    base::TempDir directory;
    std::string path = directory / "container.log";

    std::vector<engine::LogEntry> read(engine::LogReadOptions options = {}) const {
        engine::LogReader reader(path, options);
        std::vector<engine::LogEntry> entries;
        while (auto entry = reader.next(0ms))
            entries.push_back(*entry);
        return entries;
    }
    std::string text(engine::LogReadOptions options = {}) const {
        std::string all;
        for (const auto& entry : read(options))
            all += entry.text;
        return all;
    }
};

std::string escaped(std::string_view text) {
    std::string out;
    engine::monitor::append_json_text(out, text);
    return out;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(container_log, Log)

BOOST_AUTO_TEST_CASE(text_is_escaped_as_json) {
    BOOST_TEST(escaped("a\"b\\c\n\t\r\x01\x7f") == R"(a\"b\\c\n\t\r\u0001\u007f)");
    BOOST_TEST(escaped("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80") == "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    // Overlong, a surrogate, above U+10FFFF, cut off, a lone continuation.
    BOOST_TEST(escaped("\xc0\xaf") == R"(\ufffd\ufffd)");
    BOOST_TEST(escaped("\xed\xa0\x80") == R"(\ufffd\ufffd\ufffd)");
    BOOST_TEST(escaped("\xf4\x90\x80\x80") == R"(\ufffd\ufffd\ufffd\ufffd)");
    BOOST_TEST(escaped("\xe2\x82") == R"(\ufffd\ufffd)");
    BOOST_TEST(escaped("\x80x") == R"(\ufffdx)");
}

BOOST_AUTO_TEST_CASE(time_is_rfc_3339) {
    BOOST_TEST(engine::monitor::format_time(t0 + 1) == "2023-11-14T22:13:20.000000001Z");
}

BOOST_AUTO_TEST_CASE(lines_of_both_streams_come_back) {
    LogFile log(path, 0, 1);
    BOOST_REQUIRE(log.open() == 0);
    log.append(LogFile::Stream::out, "one\ntw", t0);
    log.append(LogFile::Stream::error, "bad\n", t0 + 1);
    log.append(LogFile::Stream::out, "o\nrest", t0 + 2);
    log.finish(t0 + 3);
    const auto entries = read();
    BOOST_REQUIRE(entries.size() == 4U);
    BOOST_TEST(entries[0].text == "one\n");
    BOOST_TEST(entries[1].text == "bad\n");
    BOOST_TEST(entries[1].standard_error);
    BOOST_TEST(entries[2].text == "two\n");
    BOOST_TEST(entries[3].text == "rest");
    BOOST_TEST(entries[0].time == "2023-11-14T22:13:20.000000000Z");
    BOOST_TEST(text({.tail = 2}) == "two\nrest");
    BOOST_TEST(text({.standard_output = false}) == "bad\n");
    const engine::TimePoint second{
        std::chrono::duration_cast<engine::TimePoint::duration>(std::chrono::nanoseconds(t0 + 2))};
    BOOST_TEST(text({.since = second}) == "two\nrest");
}

BOOST_AUTO_TEST_CASE(a_long_line_is_split_and_nothing_is_lost) {
    const std::string line(40'000, 'x');
    LogFile log(path, 0, 1);
    BOOST_REQUIRE(log.open() == 0);
    for (std::size_t i = 0; i < line.size(); i += 1000)
        log.append(LogFile::Stream::out, line.substr(i, 1000), t0);
    log.append(LogFile::Stream::out, "\n", t0);
    const auto entries = read();
    BOOST_TEST(entries.size() == 3U);
    BOOST_TEST(entries[0].text.size() == 16U * 1024);
    BOOST_TEST(text() == line + "\n");
}

BOOST_AUTO_TEST_CASE(rotation_bounds_the_disk_and_the_reader_reads_across) {
    LogFile log(path, 4096, 3);
    BOOST_REQUIRE(log.open() == 0);
    for (int i = 0; i < 200; ++i)
        log.append(LogFile::Stream::out, "line " + std::to_string(i) + "\n", t0);
    struct stat status {};
    BOOST_TEST(::stat((path + ".2").c_str(), &status) == 0);
    BOOST_TEST(::stat((path + ".3").c_str(), &status) != 0);
    for (const char* suffix : {"", ".1", ".2"}) {
        BOOST_REQUIRE(::stat((path + suffix).c_str(), &status) == 0);
        BOOST_TEST(status.st_size <= 4096);
    }
    const auto entries = read();
    BOOST_TEST(entries.size() > 100U);
    BOOST_TEST(entries.back().text == "line 199\n");
    for (std::size_t i = 1; i < entries.size(); ++i) // whole, and in order
        BOOST_TEST(std::stoi(entries[i].text.substr(5)) == std::stoi(entries[i - 1].text.substr(5)) + 1);
}

BOOST_AUTO_TEST_CASE(half_a_line_of_a_crash_is_skipped) {
    {
        LogFile log(path, 0, 1);
        BOOST_REQUIRE(log.open() == 0);
        log.append(LogFile::Stream::out, "before\n", t0);
    }
    {
        const auto fd = base::open_file(path, O_WRONLY | O_APPEND);
        base::write_all(fd.get(), R"({"log":"torn)", path);
    }
    LogFile log(path, 0, 1);
    BOOST_REQUIRE(log.open() == 0);
    log.append(LogFile::Stream::out, "after\n", t0);
    BOOST_TEST(text() == "before\nafter\n");
}

BOOST_AUTO_TEST_CASE(a_follower_sees_what_comes_also_across_rotation) {
    LogFile log(path, 600, 2);
    BOOST_REQUIRE(log.open() == 0);
    engine::LogReader reader(path, {.follow = true});
    std::thread writer([&] {
        for (int i = 0; i < 12; ++i) {
            log.append(LogFile::Stream::out, std::to_string(i) + "\n", t0);
            std::this_thread::sleep_for(5ms); // slower than the reader: it is not to lose what is rotated twice away
        }
    });
    for (int i = 0; i < 12; ++i) {
        const auto entry = reader.next(30s);
        BOOST_REQUIRE(entry.has_value());
        BOOST_TEST(entry->text == std::to_string(i) + "\n");
    }
    writer.join();
    BOOST_TEST(!reader.next(0ms).has_value());
}

BOOST_AUTO_TEST_CASE(a_full_disk_loses_text_and_nothing_else) {
    LogFile log("/dev/full", 0, 1);
    BOOST_REQUIRE(log.open() == 0);
    log.append(LogFile::Stream::out, "gone\n", t0);
    BOOST_TEST(log.lost() > 0U);
}

BOOST_AUTO_TEST_CASE(exit_records_come_back_and_half_ones_do_not) {
    engine::monitor::ExitRecord record;
    record.code = 3;
    record.signal = 9;
    record.finished_nsec = t0;
    record.failed = true;
    record.error = "two\nlines=x";
    const std::string formatted = engine::monitor::format_exit_record(record);
    const auto back = engine::monitor::parse_exit_record(formatted);
    BOOST_REQUIRE(back.has_value());
    BOOST_TEST(back->code == 3);
    BOOST_TEST(back->signal == 9);
    BOOST_TEST(back->finished_nsec == t0);
    BOOST_TEST(back->failed);
    BOOST_TEST(back->error == "two lines=x");
    for (std::size_t size = 0; size < formatted.size(); ++size)
        BOOST_TEST(!engine::monitor::parse_exit_record(formatted.substr(0, size)).has_value());
    BOOST_TEST(engine::monitor::parse_exit_record("later=1\ncode=2\nend\n")->code == 2);
    BOOST_TEST(!engine::monitor::parse_exit_record("code=x\nend\n").has_value());
}

BOOST_AUTO_TEST_SUITE_END()
