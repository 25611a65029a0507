// One run of updater-worker, beside the daemon's other work.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/process.hpp"
#include "base/unique_fd.hpp"
#include "event_loop.hpp"

namespace updater {

struct WorkerResult {
    bool ok = false;
    base::json::object result; ///< when ok
    std::string error;         ///< when not
};

/// Reads a worker's output line by line; keeps what the last line said.
class WorkerOutput {
public:
    static constexpr std::size_t max_line = 4 * 1024 * 1024;
    using Line = std::function<void(const base::json::object&)>;

    explicit WorkerOutput(Line line) : line_(std::move(line)) {}
    /// Throws base::Error on a line that is not a JSON object, or too long.
    void feed(std::string_view data);
    /// What the run came to, given how the process ended.
    WorkerResult finish(const base::ExitStatus& status) const;

private:
    void take(std::string_view line);
    Line line_;
    std::string buffer_;
    WorkerResult last_;
    bool answered_ = false;
};

/// Dies with us, at whatever it does: updaterd's next start finds out how far it came, and nobody works on beside it.
class WorkerJob {
public:
    struct Options {
        std::vector<std::string> argv;
        /// A line that is neither result nor error.
        WorkerOutput::Line on_line = [](const base::json::object&) {
        };
        /// Called last; may destroy the job.
        std::function<void(WorkerResult)> on_end;
        /// Killed when it says nothing for so long.
        std::chrono::milliseconds silence{std::chrono::minutes(2)};
    };
    WorkerJob(EventLoop& loop, Options options);
    /// Kills it; no line comes any more, `on_end` does. May be called from `on_line`, where the job must not be
    /// destroyed.
    void stop();

private:
    void on_readable();
    void on_exit();
    void restart_silence_timer();

    EventLoop& loop_;
    Options options_;
    WorkerOutput output_;
    base::UniqueFd pipe_;
    base::Child child_;
    std::string killed_because_;
    std::unique_ptr<EventLoop::Watch> pipe_watch_;
    std::unique_ptr<EventLoop::Watch> exit_watch_;
    std::unique_ptr<EventLoop::Watch> silence_watch_;
};

/// The same, waiting for the end: at start and in --finalize.
WorkerResult run_worker(const std::vector<std::string>& argv, std::chrono::milliseconds timeout);

} // namespace updater
