#include "worker_job.hpp"

#include <csignal>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"

namespace updater {

void WorkerOutput::feed(std::string_view data) {
    buffer_ += data;
    std::size_t start = 0;
    for (std::size_t end = 0; (end = buffer_.find('\n', start)) != std::string::npos; start = end + 1)
        take(std::string_view(buffer_).substr(start, end - start));
    buffer_.erase(0, start);
    if (buffer_.size() > max_line)
        throw base::Error("updater-worker: a line is longer than 4 MiB");
}

void WorkerOutput::take(std::string_view line) {
    const base::json::value document = base::parse_json(line, "updater-worker");
    if (!document.is_object())
        throw base::Error("updater-worker: expected an object");
    const base::json::object& object = document.get_object();
    const base::JsonObject reader(document, "updater-worker");
    if (reader.has("error")) {
        last_ = {false, {}, reader.string("error")};
        answered_ = true;
    } else if (const auto result = reader.object("result")) {
        last_ = {true, result->raw(), {}};
        answered_ = true;
    } else {
        line_(object);
    }
}

WorkerResult WorkerOutput::finish(const base::ExitStatus& status) const {
    if (!answered_)
        return {false, {}, "updater-worker ended without a result: " + status.describe()};
    if (last_.ok && !status.success())
        return {false, {}, "updater-worker: " + status.describe()};
    return last_;
}

WorkerJob::WorkerJob(EventLoop& loop, Options options)
    : loop_(loop), options_(std::move(options)), output_([this](const base::json::object& line) {
          if (killed_because_.empty())
              options_.on_line(line);
      }) {
    std::array<int, 2> ends{};
    base::check(::pipe2(ends.data(), O_CLOEXEC), "pipe");
    pipe_.reset(ends[0]);
    const base::UniqueFd write_end(ends[1]);
    base::check(::fcntl(pipe_.get(), F_SETFL, O_NONBLOCK), "fcntl");
    base::SpawnOptions spawn;
    spawn.stdout_fd = write_end.get();
    spawn.parent_death_signal = SIGKILL;
    child_ = base::Child::spawn(options_.argv, spawn);
    pipe_watch_ = loop_.watch_readable(pipe_.get(), [this] { on_readable(); });
    restart_silence_timer();
}

void WorkerJob::restart_silence_timer() {
    silence_watch_ = loop_.after(options_.silence, [this] {
        killed_because_ = fmt::format("no progress for {} s",
                                      std::chrono::duration_cast<std::chrono::seconds>(options_.silence).count());
        child_.kill(SIGKILL);
    });
}

void WorkerJob::stop() {
    killed_because_ = "stopped";
    child_.kill(SIGKILL);
}

void WorkerJob::on_readable() {
    std::array<char, 16384> buffer;
    const ssize_t size = ::read(pipe_.get(), buffer.data(), buffer.size());
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size > 0) {
        restart_silence_timer();
        try {
            output_.feed(std::string_view(buffer.data(), static_cast<std::size_t>(size)));
            return;
        } catch (const base::Error& error) {
            killed_because_ = error.what();
            child_.kill(SIGKILL);
        }
    }
    pipe_watch_.reset();
    exit_watch_ = loop_.watch_readable(child_.pidfd(), [this] { on_exit(); });
}

void WorkerJob::on_exit() {
    exit_watch_.reset();
    silence_watch_.reset();
    WorkerResult result = output_.finish(child_.wait());
    if (!killed_because_.empty())
        result = {false, {}, killed_because_};
    const std::function<void(WorkerResult)> done = std::move(options_.on_end);
    done(std::move(result)); // may destroy this
}

WorkerResult run_worker(const std::vector<std::string>& argv, std::chrono::milliseconds timeout) {
    base::RunOptions options;
    options.timeout = timeout;
    const base::RunResult run = base::run(argv, options);
    for (std::string_view rest = run.errors; !rest.empty();) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        base::log_info("{}", rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    WorkerOutput output([](const base::json::object&) {});
    output.feed(run.output);
    return output.finish(run.status);
}

} // namespace updater
