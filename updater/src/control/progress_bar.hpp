// A line on the terminal that shows how far a download is; plain lines, one a stage, when it is not a terminal.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace updater {

class ProgressBar {
public:
    ProgressBar();
    /// Ends the line.
    ~ProgressBar();
    void stage(const std::string& name);
    void show(std::uint64_t bytes, std::uint64_t total_bytes, std::uint64_t objects, std::uint64_t total_objects);

    /// "[=====     ]  50 %  12.3 MB of 24.6 MB  210 of 400 objects": `width` columns of bar.
    static std::string line(std::uint64_t bytes, std::uint64_t total_bytes, std::uint64_t objects,
                            std::uint64_t total_objects, unsigned width);

    /// "  2.5 MB/s, 4 s left": empty when nothing can be said yet.
    static std::string pace(std::uint64_t bytes, std::uint64_t total_bytes, double seconds);

private:
    void end_line();
    bool terminal_;
    bool dirty_ = false;
    std::string stage_;
    std::chrono::steady_clock::time_point since_;
};

} // namespace updater
