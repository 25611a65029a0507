// The disks that a power cut can leave, made of a log.
//
// A write is *volatile* from its completion to the next flush: it may have reached the medium or not, in any
// combination. A write with FUA is on the medium once it is done, and nothing that completed later is there without it.
// The write that is under way may be there up to any sector. Between two flushes (an *epoch*):
//   - every write boundary: the first k writes of the epoch, all of them there
//   - torn: the first k writes, and a part of the next one's sectors, from its start
//   - reordered: subsets of the volatile writes; all of them where there are few, else every one that leaves out or has
//   only
//     a single write, and random ones, some with a torn write among them
#pragma once
#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include "crash/disk.hpp"
#include "crash/write_log.hpp"

namespace crash {

enum class Kind { boundary, reordered, torn };
const char* name_of(Kind kind);

struct State {
    Kind kind = Kind::boundary;
    std::size_t entry = 0; ///< of the log: the last one that has begun
    std::uint64_t number = 0;
    std::string describe() const;
};

struct Thoroughness {
    std::uint64_t seed = 1;
    std::size_t all_subsets_up_to = 7; ///< writes in an epoch
    bool leave_out_each = true;
    bool only_each = true;
    std::size_t random_subsets = 32; ///< an epoch
    std::size_t all_tears_up_to = 8; ///< sectors of a write; of longer ones so many; 0: nothing is torn
    static Thoroughness reduced(std::uint64_t seed);
    /// Few states, of those that a lost flush makes possible: to see that there are bad ones among them.
    static Thoroughness of_lost_flushes(std::uint64_t seed);
};

/// A log over a disk: walks the states of any of its parts in order.
class StateWalk {
public:
    StateWalk(const std::vector<LogEntry>& log, Disk& disk, Thoroughness how);

    /// Every state of a power cut in [first, last); `visit` sees the disk as it is then, and may change it if it takes
    /// its changes back. Parts have to be walked in ascending order: afterwards everything before `last` is on the disk
    /// as far as flushed, and the rest is kept for the next part.
    void walk(std::size_t first, std::size_t last, const std::function<void(const State&)>& visit);
    /// The disk has everything before `entry`, durably: another walk has been there. Before the first `walk`.
    void begin_at(std::size_t entry) noexcept { next_ = entry; }
    /// As if everything up to `entry` had been flushed, for `look` only.
    void look_at(std::size_t entry, const std::function<void()>& look);

    std::uint64_t flushes() const noexcept { return flushes_; }

private:
    struct Write {
        std::size_t entry;
        bool fua;
    };
    void visit_epoch(const std::function<void(const State&)>& visit);
    void visit_torn(std::size_t entry, const std::function<void(const State&)>& visit);
    void visit_subset(const std::vector<bool>& there, std::size_t torn, const std::function<void(const State&)>& visit);
    bool legal(const std::vector<bool>& there) const;
    void apply(std::size_t entry, std::uint64_t sectors);
    void make_durable();

    const std::vector<LogEntry>& log_;
    Disk& disk_;
    Thoroughness how_;
    std::mt19937_64 random_;
    std::vector<std::vector<ContentId>> ids_; ///< by entry: of its sectors, as far as they were written once
    std::vector<Write> epoch_;                ///< the writes since the last flush, in order
    std::size_t next_ = 0;                    ///< first entry that is not in the epoch nor durable
    std::uint64_t flushes_ = 0;
    std::uint64_t states_ = 0;
};

} // namespace crash
