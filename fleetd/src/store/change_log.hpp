// The last changes of a store, for its watchers in this process. Thread-safe.
#pragma once
#include <condition_variable>
#include <deque>
#include <mutex>

#include "fleetd/store.hpp"

namespace fleet {

class ChangeLog : public std::enable_shared_from_this<ChangeLog> {
public:
    static constexpr std::size_t kept = 4096;

    /// Starts after `revision`: older changes are not known.
    explicit ChangeLog(Revision revision) : forgotten_(revision), latest_(revision) {}

    void append(const std::vector<Change>& changes);
    std::unique_ptr<Watch> watch(std::string prefix, Revision after);

private:
    class Watcher;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Change> changes_;
    Revision forgotten_; ///< changes up to this one are gone
    Revision latest_;
};

} // namespace fleet
