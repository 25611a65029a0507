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
    std::size_t boots = 0;      ///< states to choose: half of them around changes of /boot, half of all
    std::size_t dead_boots = 0; ///< states that do not boot, chosen too
    std::size_t comparisons =
        0;              ///< states whose recovery is compared with e2fsck's, and whose repository ostree checks
    bool stock = false; ///< only whether it boots counts, and nothing is a problem
    std::function<void(const std::string& job, std::size_t number, std::size_t of)> on_job = {};
};

class Replay {
public:
    Replay(Recording recording, ReplayOptions options);
    ~Replay();

    ReplayReport run();
    /// Boots what `run` chose and adds it to the report.
    void boot(const qemu::Images& images, ReplayReport& report);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace crash
