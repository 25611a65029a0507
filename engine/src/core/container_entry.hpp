// One container as the engine holds it. See engine/DESIGN.md for the order of the locks.
#pragma once
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/loop.hpp"
#include "core/monitor_client.hpp"
#include "engine/container.hpp"
#include "engine/engine.hpp"

namespace engine {

/// A configuration that `update` replaces as a whole: readers keep the one they took.
class SharedConfig {
public:
    std::shared_ptr<const ContainerConfig> get() const {
        std::lock_guard lock(mutex_);
        return config_;
    }
    /// For one expression; what outlives it needs `get`.
    std::shared_ptr<const ContainerConfig> operator->() const { return get(); }
    void set(ContainerConfig config) {
        auto next = std::make_shared<const ContainerConfig>(std::move(config));
        std::lock_guard lock(mutex_);
        config_ = std::move(next);
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const ContainerConfig> config_;
};

struct ContainerEntry {
    explicit ContainerEntry(std::string container_id) : id(std::move(container_id)) {}

    const std::string id;
    SharedConfig config; ///< has a lock of its own

    /// Held over a whole start, stop, removal or clean-up, which block. Taken before `mutex`.
    std::mutex operation;

    /// Guards what follows; held for moments only.
    mutable std::mutex mutex;
    std::condition_variable changed;

    std::string name;
    TimePoint created;
    std::vector<std::string> lower_directories;

    ContainerState state;
    bool stopped_by_user = false; ///< the restart policy does not apply
    bool removed = false;
    bool cleanup_pending = false; ///< it has ended; network, runtime state and mounts are still there
    bool start_restarts = false;  ///< when it ended the restart policy wanted another start
    std::uint64_t ends = 0;       ///< times it has ended
    WaitResult last_end;
    unsigned failed_restarts = 0; ///< in a row, for the pause between them
    Loop::TimerId restart_timer = 0;

    std::shared_ptr<MonitorConnection> control;
    std::vector<std::weak_ptr<MonitorAttachment>> waiting_attachments;
    std::vector<NetworkEndpoint> endpoints;
    std::string cgroup; ///< directory, while running

    Loop::TimerId health_timer = 0;
    TimePoint health_since;              ///< its start, or when engined found it again
    unsigned start_checks = 0;           ///< since the last start, for the pause between them
    std::uint64_t health_generation = 0; ///< a check that began before the last start or end is not counted

    bool is_system() const noexcept { return !config->system_service.empty(); }
};

using ContainerPointer = std::shared_ptr<ContainerEntry>;

} // namespace engine
