#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "crash_log.hpp"

using namespace crash_test;

namespace {

std::vector<crash::LogEntry> read(const std::string& bytes) {
    // A copy of just that size, so that a read behind its end is seen by the address sanitizer.
    const std::vector<std::uint8_t> exact(bytes.begin(), bytes.end());
    std::vector<crash::LogEntry> entries = crash::read_write_log(exact);
    for (crash::LogEntry& entry : entries)
        entry.data = nullptr;
    return entries;
}

bool is_refused(const std::string& bytes, const std::string& word) {
    try {
        read(bytes);
        return false;
    } catch (const base::Error& error) {
        return std::string(error.what()).find(word) != std::string::npos;
    }
}

} // namespace

BOOST_AUTO_TEST_SUITE(crash_write_log)

BOOST_AUTO_TEST_CASE(entries_of_every_kind) {
    LogBuilder log;
    log.write(7, "ab").flush().write(9, "c", LogBuilder::fua_flag).entry(100, 8, LogBuilder::discard_flag);
    const std::string bytes =
        log.entry(0, 0, LogBuilder::mark_flag, "here" + std::string(508, ' ')).write(1, "d").bytes();
    const std::vector<crash::LogEntry> entries = crash::read_write_log(span_of(bytes));
    BOOST_TEST_REQUIRE(entries.size() == 6U);
    BOOST_TEST(entries[0].sector == 7U);
    BOOST_TEST(entries[0].sectors == 2U);
    BOOST_TEST(entries[0].data[0] == 'a');
    BOOST_TEST(entries[0].data[1023] == 'b');
    BOOST_TEST(entries[1].flush);
    BOOST_TEST(entries[1].sectors == 0U);
    BOOST_TEST(entries[2].fua);
    BOOST_TEST(entries[3].discard);
    BOOST_TEST(entries[3].sectors == 8U);
    BOOST_TEST(entries[3].data == nullptr);
    BOOST_TEST(entries[4].sectors == 0U); // a mark
    BOOST_TEST(entries[5].data[0] == 'd');
}

BOOST_AUTO_TEST_CASE(what_is_not_counted_is_not_read) {
    LogBuilder log;
    log.write(1, "a");
    BOOST_TEST(read(log.bytes() + std::string(700, 'x')).size() == 1U);
}

BOOST_AUTO_TEST_CASE(broken_ones_are_refused) {
    const LogBuilder log = LogBuilder().write(1, "ab");
    BOOST_TEST(is_refused("", "superblock"));
    BOOST_TEST(is_refused(log.bytes(1), "magic"));
    BOOST_TEST(is_refused(log.bytes(0x6a736677736872, 1, 4096), "4096"));
    BOOST_TEST(is_refused(log.bytes(0x6a736677736872, 2), "entry 1: cut off"));
    BOOST_TEST(is_refused(log.bytes().substr(0, 512 * 3), "entry 0: its data is cut off"));
    BOOST_TEST(is_refused(LogBuilder().entry(UINT64_MAX, 1, 0).bytes(), "outside"));
    BOOST_TEST(is_refused(LogBuilder().entry(1, UINT64_MAX / 256, 0).bytes(), "outside"));
    BOOST_TEST(is_refused(LogBuilder().entry(1, 0, 64).bytes(), "unknown flags"));
}

BOOST_AUTO_TEST_CASE(a_growing_log_is_counted) {
    const base::TempDir directory;
    base::write_durable(directory / "log", "");
    BOOST_TEST(crash::count_log_entries(directory / "log") == 0U);
    base::write_durable(directory / "log", LogBuilder().write(1, "a").flush().bytes());
    BOOST_TEST(crash::count_log_entries(directory / "log") == 2U);
}

BOOST_AUTO_TEST_SUITE_END()
