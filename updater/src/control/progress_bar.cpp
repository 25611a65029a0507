#include "progress_bar.hpp"

#include <cstdio>
#include <unistd.h>

#include <fmt/format.h>

namespace updater {

namespace {

double megabytes(std::uint64_t bytes) {
    return static_cast<double>(bytes) / 1e6;
}

} // namespace

ProgressBar::ProgressBar() : terminal_(::isatty(STDERR_FILENO) != 0), since_(std::chrono::steady_clock::now()) {}

ProgressBar::~ProgressBar() {
    end_line();
}

void ProgressBar::end_line() {
    if (std::exchange(dirty_, false))
        std::fputs("\n", stderr);
}

void ProgressBar::stage(const std::string& name) {
    if (name == stage_ || (name != "checking" && name != "downloading" && name != "verifying"))
        return;
    end_line();
    stage_ = name;
    since_ = std::chrono::steady_clock::now();
    fmt::print(stderr, "{}\n", name);
}

std::string ProgressBar::line(std::uint64_t bytes, std::uint64_t total_bytes, std::uint64_t objects,
                              std::uint64_t total_objects, unsigned width) {
    double part = 0;
    if (total_bytes > 0)
        part = static_cast<double>(bytes) / static_cast<double>(total_bytes);
    else if (total_objects > 0)
        part = static_cast<double>(objects) / static_cast<double>(total_objects);
    part = std::min(part, 1.0);
    const auto filled = static_cast<std::size_t>(part * width);
    std::string text =
        fmt::format("[{}{}] {:3.0f} %", std::string(filled, '='), std::string(width - filled, ' '), part * 100);
    if (total_bytes > 0)
        text += fmt::format("  {:.1f} of {:.1f} MB", megabytes(bytes), megabytes(total_bytes));
    else if (bytes > 0)
        text += fmt::format("  {:.1f} MB", megabytes(bytes));
    return text + fmt::format("  {} of {} objects", objects, total_objects);
}

std::string ProgressBar::pace(std::uint64_t bytes, std::uint64_t total_bytes, double seconds) {
    if (bytes == 0 || seconds < 0.5)
        return {};
    const double rate = static_cast<double>(bytes) / seconds;
    std::string text = fmt::format("  {:.1f} MB/s", rate / 1e6);
    if (total_bytes > bytes)
        text += fmt::format(", {:.0f} s left", static_cast<double>(total_bytes - bytes) / rate);
    return text;
}

void ProgressBar::show(std::uint64_t bytes, std::uint64_t total_bytes, std::uint64_t objects,
                       std::uint64_t total_objects) {
    if (!terminal_)
        return;
    constexpr unsigned width = 30;
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - since_;
    const std::string text = line(bytes, total_bytes, objects, total_objects, width);
    fmt::print(stderr, "\r{}{}\x1b[K", text, pace(bytes, total_bytes, elapsed.count()));
    std::fflush(stderr);
    dirty_ = true;
}

} // namespace updater
