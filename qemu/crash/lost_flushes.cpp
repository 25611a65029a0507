#include "crash/lost_flushes.hpp"

namespace crash {
namespace {

void reset(Disk& disk) {
    for (const std::uint64_t sector : std::vector<std::uint64_t>(disk.touched()))
        disk.write(sector, 0);
    disk.keep();
}

struct Found {
    std::uint64_t states = 0;
    std::uint64_t bad = 0;
};

/// Judges the states of a power cut in [from, to).
Found replay(const std::vector<LogEntry>& log, Disk& disk, Checker& checker, Thoroughness how, std::size_t from,
             std::size_t to) {
    Found found;
    reset(disk);
    StateWalk walk(log, disk, how);
    walk.walk(0, from, [](const State&) {});
    walk.walk(from, to, [&](const State&) {
        ++found.states;
        found.bad += checker.check(true).ok() ? 0U : 1U;
    });
    return found;
}

/// The first entry after the flush before; its states need nothing from further back.
std::size_t after_flush_before(const std::vector<LogEntry>& log, std::size_t entry, std::size_t first) {
    while (entry > first && !log[entry - 1].flush)
        --entry;
    return entry;
}

std::size_t flush_after(const std::vector<LogEntry>& log, std::size_t entry, std::size_t last) {
    for (++entry; entry < last && !log[entry].flush;)
        ++entry;
    return entry;
}

} // namespace

LostFlushesReport replay_with_lost_flushes(const Job& job, const std::vector<LogEntry>& log, Disk& disk,
                                           Checker& checker, Thoroughness how, bool each) {
    LostFlushesReport report;
    report.job = job.name;
    std::vector<LogEntry> mutant = log;
    for (std::size_t i = job.first; i < job.last; ++i)
        mutant[i].flush = mutant[i].fua = false;
    const Found all = replay(mutant, disk, checker, how, job.first, job.last);
    report.states = all.states;
    report.bad = all.bad;
    for (std::size_t i = job.first; each && i < job.last; ++i) {
        if (!log[i].flush)
            continue;
        mutant = log;
        mutant[i].flush = false;
        ++report.flushes;
        const Found found =
            replay(mutant, disk, checker, how, after_flush_before(log, i, job.first), flush_after(log, i, job.last));
        report.flushes_needed += found.bad != 0 ? 1U : 0U;
    }
    return report;
}

} // namespace crash
