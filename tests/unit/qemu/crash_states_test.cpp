// Which disks a power cut can leave: small logs, whose states can be written down.
#include <boost/test/unit_test.hpp>

#include <set>

#include "base/error.hpp"
#include "crash/states.hpp"
#include "crash_log.hpp"

using namespace crash_test;

namespace {

constexpr std::size_t disk_sectors = 4;

/// A character for each sector; '.' as in the base image.
std::string picture(const crash::Disk& disk) {
    std::string text;
    for (std::size_t i = 0; i < disk_sectors; ++i)
        text += static_cast<char>(disk.sector(i)[0] == 0 ? '.' : disk.sector(i)[0]);
    return text;
}

struct Walked {
    std::map<crash::Kind, std::set<std::string>> by_kind;
    std::set<std::string> all;
    std::string end; ///< everything before the last flush
};

Walked walk(const LogBuilder& log, crash::Thoroughness how = {}) {
    const std::string bytes = log.bytes();
    const std::vector<crash::LogEntry> entries = crash::read_write_log(span_of(bytes));
    const std::vector<std::uint8_t> base(disk_sectors * crash::sector_size);
    crash::Disk disk(base, {});
    crash::StateWalk states(entries, disk, how);
    Walked walked;
    states.walk(0, entries.size(), [&](const crash::State& state) {
        walked.by_kind[state.kind].insert(picture(disk));
        walked.all.insert(picture(disk));
    });
    walked.end = picture(disk);
    return walked;
}

using Set = std::set<std::string>;

} // namespace

BOOST_TEST_DONT_PRINT_LOG_VALUE(Set)

BOOST_AUTO_TEST_SUITE(crash_states)

BOOST_AUTO_TEST_CASE(without_a_flush_everything_may_be_missing) {
    const Walked walked = walk(LogBuilder().write(0, "a").write(1, "b").write(2, "c"));
    BOOST_TEST(walked.by_kind.at(crash::Kind::boundary) == (Set{"a...", "ab..", "abc."}));
    BOOST_TEST(walked.by_kind.at(crash::Kind::reordered) == (Set{"a...", ".b..", "..c.", "ab..", "a.c.", ".bc."}));
    BOOST_TEST(walked.end == "....");
}

BOOST_AUTO_TEST_CASE(what_was_flushed_is_there) {
    const Walked walked = walk(LogBuilder().write(0, "a").write(1, "b").flush().write(2, "c").write(3, "d"));
    BOOST_TEST(walked.all == (Set{"a...", ".b..", "ab..", "abc.", "ab.d", "abcd"}));
    BOOST_TEST(walked.end == "ab..");
}

BOOST_AUTO_TEST_CASE(a_write_is_torn_after_any_sector) {
    const Walked walked = walk(LogBuilder().write(0, "abc"));
    BOOST_TEST(walked.by_kind.at(crash::Kind::torn) == (Set{"a...", "ab.."}));
    BOOST_TEST(walked.by_kind.at(crash::Kind::boundary) == (Set{"abc."}));
}

BOOST_AUTO_TEST_CASE(a_later_write_wins) {
    const Walked walked = walk(LogBuilder().write(0, "a").write(0, "b"));
    BOOST_TEST(walked.all == (Set{"a...", "b..."}));
}

BOOST_AUTO_TEST_CASE(nothing_is_there_without_an_earlier_fua_write) {
    const Walked walked = walk(LogBuilder().write(0, "a").write(1, "F", LogBuilder::fua_flag).write(2, "c"));
    // 'a' is volatile and may be missing beside both; 'c' needs 'F'.
    BOOST_TEST(walked.all == (Set{"a...", "aF..", ".F..", "aFc.", ".Fc."}));
}

BOOST_AUTO_TEST_CASE(many_writes_are_sampled_the_same_way_for_a_seed) {
    LogBuilder log;
    for (const char letter : std::string("abcdefghijkl"))
        log.write(static_cast<std::uint64_t>(letter) % disk_sectors, std::string(1, letter));
    crash::Thoroughness how;
    how.all_subsets_up_to = 4;
    const Walked first = walk(log, how);
    BOOST_TEST(first.all == walk(log, how).all);
    how.seed = 2;
    BOOST_TEST(first.all != walk(log, how).all);
    BOOST_TEST(first.by_kind.at(crash::Kind::reordered).size() > 10U);
}

BOOST_AUTO_TEST_CASE(parts_are_as_the_whole) {
    const LogBuilder log = LogBuilder().write(0, "a").flush().write(1, "b").write(2, "c").flush().write(3, "d");
    const std::string bytes = log.bytes();
    const std::vector<crash::LogEntry> entries = crash::read_write_log(span_of(bytes));
    const std::vector<std::uint8_t> base(disk_sectors * crash::sector_size);
    for (std::size_t cut = 0; cut <= entries.size(); ++cut) {
        crash::Disk disk(base, {});
        crash::StateWalk states(entries, disk, {});
        Set seen;
        const auto visit = [&](const crash::State&) {
            seen.insert(picture(disk));
        };
        states.walk(0, cut, visit);
        states.look_at(entries.size(), [&] { BOOST_TEST(picture(disk) == "abcd"); });
        states.walk(cut, entries.size(), visit);
        BOOST_TEST(seen == walk(log).all, "cut at " << cut);
    }
}

BOOST_AUTO_TEST_CASE(a_changed_log_is_walked_from_where_another_walk_is) {
    const LogBuilder log = LogBuilder().write(0, "a").flush().write(1, "b").flush().write(2, "c").flush().write(3, "d");
    const std::string bytes = log.bytes();
    const std::vector<crash::LogEntry> entries = crash::read_write_log(span_of(bytes));
    std::vector<crash::LogEntry> changed = entries;
    changed[3].flush = false;
    const std::vector<std::uint8_t> base(disk_sectors * crash::sector_size);
    crash::Disk disk(base, {});
    crash::StateWalk walk(entries, disk, {});
    walk.walk(2, 2, [](const crash::State&) {});
    for (int round = 0; round < 2; ++round) { // it leaves the disk as it was
        crash::StateWalk lost(changed, disk, {});
        lost.begin_at(1);
        Set seen;
        lost.walk(1, 5, [&](const crash::State&) { seen.insert(picture(disk)); });
        BOOST_TEST((seen == Set{"ab..", "a.c.", "abc."}));
    }
    Set rest;
    walk.walk(2, entries.size(), [&](const crash::State&) { rest.insert(picture(disk)); });
    BOOST_TEST((rest == Set{"ab..", "abc.", "abcd"}));
}

BOOST_AUTO_TEST_CASE(a_write_outside_of_the_disk_is_refused) {
    BOOST_CHECK_THROW(walk(LogBuilder().write(3, "ab")), base::Error);
}

BOOST_AUTO_TEST_CASE(equal_disks_have_equal_fingerprints) {
    const std::vector<std::uint8_t> base(disk_sectors * crash::sector_size);
    const std::string letters = std::string(512, 'a') + std::string(512, 'b') + std::string(512, '\0');
    const auto* data = span_of(letters).data();
    crash::Disk disk(base, {{.name = "part", .first = 1, .sectors = 2}});
    const std::uint64_t empty = disk.fingerprint();
    const std::size_t mark = disk.mark();
    disk.write(1, disk.contents().number(data));
    const std::uint64_t one = disk.fingerprint();
    const std::uint64_t part = disk.fingerprint(0);
    disk.write(3, disk.contents().number(data + 512));
    BOOST_TEST(disk.fingerprint() != one);
    BOOST_TEST(disk.fingerprint(0) == part);
    disk.take_back(mark);
    BOOST_TEST(disk.fingerprint() == empty);
    disk.write(1, disk.contents().number_copy(data));
    BOOST_TEST(disk.fingerprint() == one);
    disk.write(1, disk.contents().number(data + 1024)); // as the base image has it
    BOOST_TEST(disk.fingerprint() == empty);
}

BOOST_AUTO_TEST_SUITE_END()
