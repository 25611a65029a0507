#include "crash/lost_flushes.hpp"

namespace crash {
namespace {

/// The last flush before `entry`; 0: there is none.
std::size_t flush_before(const std::vector<LogEntry>& log, std::size_t entry) {
    while (entry > 0 && !log[--entry].flush)
        ;
    return entry;
}

std::size_t flush_after(const std::vector<LogEntry>& log, std::size_t entry, std::size_t last) {
    for (++entry; entry < last && !log[entry].flush;)
        ++entry;
    return entry;
}

/// Goes through the log once, and from there through the states of a changed one.
class Mutants {
public:
    Mutants(const Job& job, const std::vector<LogEntry>& log, Disk& disk, Checker& checker, Thoroughness how)
        : job_(job), log_(log), mutant_(log), disk_(disk), checker_(checker), how_(how), walk_(log, disk, how) {
        for (const std::uint64_t sector : std::vector<std::uint64_t>(disk_.touched()))
            disk_.write(sector, 0);
        disk_.keep();
    }

    void lose_all(LostFlushesReport& report) {
        const std::size_t from = reach(job_.first);
        for (std::size_t i = job_.first; i < job_.last; ++i)
            mutant_[i].flush = mutant_[i].fua = false;
        visit(from, job_.last, [&](bool bad) {
            ++report.states;
            report.bad += bad ? 1U : 0U;
            return true;
        });
        std::copy(log_.begin(), log_.end(), mutant_.begin());
    }
    void lose_each(LostFlushesReport& report) {
        for (std::size_t i = job_.first; i < job_.last; ++i) {
            if (!log_[i].flush)
                continue;
            ++report.flushes;
            const std::size_t from = reach(i);
            mutant_[i].flush = false;
            visit(from, flush_after(log_, i, job_.last), [&](bool bad) {
                report.flushes_needed += bad ? 1U : 0U;
                return !bad; // one is enough
            });
            mutant_[i].flush = true;
        }
    }

private:
    /// Makes durable what the last flush before `entry` does; returns that flush.
    std::size_t reach(std::size_t entry) {
        const std::size_t flush = flush_before(log_, entry);
        walk_.walk(flush + 1, flush + 1, [](const State&) {});
        return flush;
    }
    /// The states of the changed log in [from, to) that are the job's, while `more` says so.
    template <typename More>
    void visit(std::size_t from, std::size_t to, More more) {
        StateWalk changed(mutant_, disk_, how_);
        changed.begin_at(from);
        bool go_on = true;
        changed.walk(from, to, [&](const State& state) {
            if (go_on && state.entry >= job_.first)
                go_on = more(!checker_.check(true).ok());
        });
    }

    const Job& job_;
    const std::vector<LogEntry>& log_;
    std::vector<LogEntry> mutant_;
    Disk& disk_;
    Checker& checker_;
    Thoroughness how_;
    StateWalk walk_;
};

} // namespace

LostFlushesReport replay_with_lost_flushes(const Job& job, const std::vector<LogEntry>& log, Disk& disk,
                                           Checker& checker, Thoroughness how, bool each) {
    LostFlushesReport report;
    report.job = job.name;
    Mutants mutants(job, log, disk, checker, how);
    mutants.lose_all(report);
    if (each)
        mutants.lose_each(report);
    return report;
}

} // namespace crash
