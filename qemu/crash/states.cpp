#include "crash/states.hpp"

#include "base/error.hpp"

namespace crash {
namespace {

constexpr std::size_t nothing_torn = SIZE_MAX;

} // namespace

const char* name_of(Kind kind) {
    switch (kind) {
    case Kind::boundary:
        return "boundary";
    case Kind::reordered:
        return "reordered";
    case Kind::torn:
        return "torn";
    }
    return "";
}

std::string State::describe() const {
    return fmt::format("state {} ({}, write {})", number, name_of(kind), entry);
}

Thoroughness Thoroughness::reduced(std::uint64_t seed) {
    return {.seed = seed,
            .all_subsets_up_to = 4,
            .leave_out_each = true,
            .only_each = true,
            .random_subsets = 4,
            .all_tears_up_to = 2};
}

Thoroughness Thoroughness::of_lost_flushes(std::uint64_t seed) {
    return {.seed = seed,
            .all_subsets_up_to = 4,
            .leave_out_each = true,
            .only_each = false,
            .random_subsets = 8,
            .all_tears_up_to = 0};
}

StateWalk::StateWalk(const std::vector<LogEntry>& log, Disk& disk, Thoroughness how)
    : log_(log), disk_(disk), how_(how), random_(how.seed), ids_(log.size()) {
    for (std::size_t i = 0; i < log.size(); ++i)
        if (log[i].sector + log[i].sectors > disk.sectors())
            throw base::Error(fmt::format("write log: entry {} leaves the disk", i));
}

void StateWalk::apply(std::size_t entry, std::uint64_t sectors) {
    static constexpr std::array<std::uint8_t, sector_size> zeros{};
    const LogEntry& write = log_[entry];
    std::vector<ContentId>& ids = ids_[entry];
    for (std::uint64_t i = 0; i < sectors; ++i) {
        if (ids.size() == i)
            ids.push_back(disk_.contents().number(write.discard ? zeros.data() : write.data + i * sector_size));
        disk_.write(write.sector + i, ids[i]);
    }
}

void StateWalk::make_durable() {
    for (const Write& write : epoch_)
        apply(write.entry, log_[write.entry].sectors);
    disk_.keep();
    epoch_.clear();
    ++flushes_;
}

// What a later write that is there implies: every FUA write that was done before it.
bool StateWalk::legal(const std::vector<bool>& there) const {
    bool missing = false;
    for (std::size_t i = 0; i < there.size(); ++i) {
        if (there[i] && missing)
            return false;
        missing = missing || (!there[i] && epoch_[i].fua);
    }
    return true;
}

void StateWalk::visit_subset(const std::vector<bool>& there, std::size_t torn,
                             const std::function<void(const State&)>& visit) {
    if (!legal(there))
        return;
    const std::size_t mark = disk_.mark();
    std::size_t last = 0;
    for (std::size_t i = 0; i < there.size(); ++i) {
        if (!there[i])
            continue;
        last = epoch_[i].entry;
        const std::uint64_t sectors = log_[last].sectors;
        apply(last, i == torn && sectors > 1 ? 1 + random_() % (sectors - 1) : sectors);
    }
    visit({.kind = torn == nothing_torn ? Kind::reordered : Kind::torn, .entry = last, .number = states_++});
    disk_.take_back(mark);
}

// The disk holds everything before `entry`.
void StateWalk::visit_torn(std::size_t entry, const std::function<void(const State&)>& visit) {
    const std::uint64_t sectors = log_[entry].sectors;
    const std::size_t mark = disk_.mark();
    const auto tear = [&](std::uint64_t there) {
        apply(entry, there);
        visit({.kind = Kind::torn, .entry = entry, .number = states_++});
        disk_.take_back(mark);
    };
    if (sectors <= how_.all_tears_up_to + 1) {
        for (std::uint64_t there = 1; there < sectors; ++there)
            tear(there);
        return;
    }
    if (how_.all_tears_up_to == 0)
        return;
    tear(1);
    if (how_.all_tears_up_to > 2)
        tear(sectors - 1);
    for (std::size_t i = how_.all_tears_up_to > 2 ? 2 : 1; i < how_.all_tears_up_to; ++i)
        tear(1 + random_() % (sectors - 1));
}

void StateWalk::visit_epoch(const std::function<void(const State&)>& visit) {
    const std::size_t count = epoch_.size();
    if (count < 2)
        return; // with one write every subset is a boundary
    if (count <= how_.all_subsets_up_to) {
        for (std::uint64_t bits = 1; bits + 1 < 1ULL << count; ++bits) {
            std::vector<bool> there(count);
            for (std::size_t i = 0; i < count; ++i)
                there[i] = (bits >> i & 1U) != 0;
            visit_subset(there, nothing_torn, visit);
        }
        return;
    }
    for (std::size_t i = 0; i < count; ++i) {
        if (how_.leave_out_each) {
            std::vector<bool> there(count, true);
            there[i] = false;
            visit_subset(there, nothing_torn, visit);
        }
        if (how_.only_each) {
            std::vector<bool> there(count);
            there[i] = true;
            visit_subset(there, nothing_torn, visit);
        }
    }
    for (std::size_t round = 0; round < how_.random_subsets; ++round) {
        // A time of the cut, and how likely a write was to make it: mostly there, mostly missing, and between.
        const std::size_t end = 1 + random_() % count;
        const std::uint64_t share = 1 + random_() % 15;
        std::vector<bool> there(count);
        for (std::size_t i = 0; i < end; ++i)
            there[i] = random_() % 16 < share;
        // What was done before and had to be on the medium is.
        for (std::size_t i = 0; i + 1 < end; ++i)
            there[i] = there[i] || epoch_[i].fua;
        const std::size_t torn = round % 4 == 0 ? random_() % end : nothing_torn;
        if (torn != nothing_torn && epoch_[torn].fua)
            continue;
        visit_subset(there, torn, visit);
    }
}

void StateWalk::walk(std::size_t first, std::size_t last, const std::function<void(const State&)>& visit) {
    // The disk is at the last flush; all of the epoch is put over it, and taken away at the epoch's end.
    std::size_t mark = disk_.mark();
    for (const Write& write : epoch_)
        apply(write.entry, log_[write.entry].sectors);
    for (; next_ < last; ++next_) {
        const bool inside = next_ >= first;
        const LogEntry& entry = log_[next_];
        if (entry.flush) {
            disk_.take_back(mark);
            if (inside)
                visit_epoch(visit);
            make_durable();
            mark = disk_.mark();
        }
        if (entry.sectors == 0)
            continue;
        if (inside)
            visit_torn(next_, visit);
        apply(next_, entry.sectors);
        epoch_.push_back({next_, entry.fua});
        if (inside)
            visit({.kind = Kind::boundary, .entry = next_, .number = states_++});
    }
    disk_.take_back(mark);
    // A job may end between two flushes: its writes may be lost just the same.
    if (!epoch_.empty() && next_ > first)
        visit_epoch(visit);
}

void StateWalk::look_at(std::size_t entry, const std::function<void()>& look) {
    const std::size_t mark = disk_.mark();
    for (const Write& write : epoch_)
        apply(write.entry, log_[write.entry].sectors);
    for (std::size_t i = next_; i < entry; ++i)
        if (log_[i].sectors != 0)
            apply(i, log_[i].sectors);
    look();
    disk_.take_back(mark);
}

} // namespace crash
