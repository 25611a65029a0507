// The disks a power cut can leave, once more by a model that is too slow for real logs: every small log's states have
// to be legal by it, and none may be missing that is promised. What the replay never looks at, it cannot find.
#include <boost/test/unit_test.hpp>

#include <random>
#include <set>

#include "crash/states.hpp"
#include "crash_log.hpp"

using namespace crash_test;

namespace {

constexpr std::size_t disk_sectors = 5;
constexpr std::uint64_t logs = 400;

struct Write {
    std::uint64_t sector = 0;
    std::string content; ///< a character for each sector; '.': discarded
    bool flush = false;  ///< before it
    bool fua = false;
};

std::vector<Write> random_log(std::mt19937_64& random) {
    std::vector<Write> log;
    char letter = 'a';
    for (std::size_t i = 0, count = 1 + random() % 5; i < count; ++i) {
        Write write;
        write.sector = random() % disk_sectors;
        const std::size_t sectors = 1 + random() % std::min<std::size_t>(3, disk_sectors - write.sector);
        const bool discard = random() % 6 == 0;
        for (std::size_t k = 0; k < sectors; ++k)
            write.content += discard ? '.' : letter++;
        write.flush = random() % 3 == 0;
        write.fua = !discard && random() % 4 == 0;
        log.push_back(std::move(write));
    }
    return log;
}

void apply(std::string& disk, const Write& write, std::size_t sectors) {
    disk.replace(write.sector, sectors, write.content, 0, sectors);
}

/// Calls `visit` with the disk for every choice of how much of each volatile write is there: nothing or all of it
/// (`torn`: or any part from its start). Writes with FUA are there.
void choose(const std::vector<Write>& log, std::size_t from, std::size_t to, const std::string& disk, bool torn,
            const std::function<void(const std::string&)>& visit) {
    if (from == to)
        return visit(disk);
    const std::size_t sectors = log[from].content.size();
    for (std::size_t there = log[from].fua ? sectors : 0; there <= sectors; ++there) {
        if (there != 0 && there != sectors && !torn)
            continue;
        std::string next = disk;
        apply(next, log[from], there);
        choose(log, from + 1, to, next, torn, visit);
    }
}

struct Model {
    std::set<std::string> legal;    ///< all that may be
    std::set<std::string> promised; ///< what must be looked at
};

Model model(const std::vector<Write>& log) {
    Model model;
    std::string durable(disk_sectors, '0');
    model.promised.insert(durable);
    std::size_t epoch = 0;
    for (std::size_t done = 0; done <= log.size(); ++done) {
        // The power goes while write `done` is under way, or after the last one.
        if (done < log.size() && log[done].flush) {
            for (; epoch < done; ++epoch)
                apply(durable, log[epoch], log[epoch].content.size());
        }
        choose(log, epoch, done, durable, false, [&model](const std::string& disk) { model.promised.insert(disk); });
        choose(log, epoch, done, durable, true, [&](const std::string& disk) {
            for (std::size_t part = 0; done < log.size() && part <= log[done].content.size(); ++part) {
                std::string torn = disk;
                apply(torn, log[done], part);
                model.legal.insert(torn);
            }
            model.legal.insert(disk);
        });
        std::string all = durable;
        for (std::size_t i = epoch; i < done; ++i)
            apply(all, log[i], log[i].content.size());
        for (std::size_t part = 1; done < log.size() && part < log[done].content.size(); ++part) {
            std::string torn = all;
            apply(torn, log[done], part);
            model.promised.insert(torn);
        }
    }
    model.legal.insert(model.promised.begin(), model.promised.end());
    return model;
}

std::set<std::string> walked(const std::vector<Write>& log, crash::Thoroughness how) {
    LogBuilder builder;
    for (const Write& write : log) {
        const bool discard = write.content.find('.') != std::string::npos;
        if (write.flush)
            builder.flush();
        if (discard)
            builder.entry(write.sector, write.content.size(), LogBuilder::discard_flag);
        else
            builder.write(write.sector, write.content, write.fua ? LogBuilder::fua_flag : 0);
    }
    const std::string bytes = builder.bytes();
    const std::vector<crash::LogEntry> entries = crash::read_write_log(span_of(bytes));
    const std::vector<std::uint8_t> base(disk_sectors * crash::sector_size, '0');
    crash::Disk disk(base, {});
    crash::StateWalk states(entries, disk, how);
    std::set<std::string> seen{std::string(disk_sectors, '0')};
    states.walk(0, entries.size(), [&](const crash::State&) {
        std::string picture;
        for (std::size_t i = 0; i < disk_sectors; ++i)
            picture += static_cast<char>(disk.sector(i)[0] == 0 ? '.' : disk.sector(i)[0]);
        seen.insert(picture);
    });
    return seen;
}

std::string text(const std::vector<Write>& log) {
    std::string text;
    for (const Write& write : log)
        text += fmt::format("{}{}:{}{} ", write.flush ? "| " : "", write.sector, write.content, write.fua ? "!" : "");
    return text;
}

/// Of `some` without `others`, the first.
std::string first_missing(const std::set<std::string>& some, const std::set<std::string>& others) {
    for (const std::string& one : some)
        if (!others.contains(one))
            return one;
    return {};
}

} // namespace

BOOST_AUTO_TEST_SUITE(crash_states_model)

BOOST_AUTO_TEST_CASE(of_small_logs_everything_is_seen_and_nothing_else) {
    std::mt19937_64 random(1);
    for (std::uint64_t number = 0; number < logs; ++number) {
        const std::vector<Write> log = random_log(random);
        const Model expected = model(log);
        const std::set<std::string> seen = walked(log, {});
        BOOST_TEST(first_missing(seen, expected.legal) == "", "cannot be: log " << text(log));
        BOOST_TEST(first_missing(expected.promised, seen) == "", "not looked at: log " << text(log));
    }
}

BOOST_AUTO_TEST_CASE(samples_of_longer_ones_are_legal) {
    std::mt19937_64 random(2);
    for (std::uint64_t number = 0; number < logs; ++number) {
        const std::vector<Write> log = random_log(random);
        crash::Thoroughness how = crash::Thoroughness::reduced(number);
        how.all_subsets_up_to = 0;
        how.random_subsets = 20;
        how.all_tears_up_to = 1;
        BOOST_TEST(first_missing(walked(log, how), model(log).legal) == "", "cannot be: log " << text(log));
    }
}

// The mutant: a log whose flush is not obeyed leaves disks that the flush would have ruled out.
BOOST_AUTO_TEST_CASE(a_lost_flush_is_seen) {
    const std::vector<Write> log{{.sector = 0, .content = "a"}, {.sector = 1, .content = "b", .flush = true}};
    std::vector<Write> mutant = log;
    mutant[1].flush = false;
    BOOST_TEST(!walked(log, {}).contains("0b000"));
    BOOST_TEST(walked(mutant, {}).contains("0b000"));
}

BOOST_AUTO_TEST_SUITE_END()
