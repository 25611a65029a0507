// Replays a recording: every state of every job, judged, counted, and some chosen to be booted.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "crash/booter.hpp"
#include "crash/checker.hpp"
#include "crash/recording.hpp"
#include "crash/report.hpp"
#include "crash/states.hpp"

namespace crash {

struct ReplayOptions {
    Thoroughness thoroughness;
    std::size_t boots = 0;      ///< states to choose: of every job as many, half of them around changes of /boot
    std::size_t dead_boots = 0; ///< states that do not boot, chosen too
    std::size_t comparisons =
        0;                    ///< states whose recovery is compared with e2fsprogs', and whose repository ostree checks
    bool stock = false;       ///< only whether it boots counts, and nothing is a problem
    bool has_to_fail = false; ///< the recorded updater is wrong
    std::string only_job = {};    ///< judges this one alone; empty: all
    bool lost_flushes = false;    ///< replays the finalise job without its flushes
    bool each_lost_flush = false; ///< and without each of them
    std::function<void(const std::string& job, std::size_t number, std::size_t of)> on_job = {};
    std::function<void(const BootReport&)> on_boot = {};
};

class Replay {
public:
    Replay(Recording recording, ReplayOptions options);
    ~Replay();

    ReplayReport run();
    /// Boots what `run` chose and adds it to the report; `machines`: see boot_all.
    void boot(const qemu::Images& images, ReplayReport& report, unsigned machines = 0);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace crash
