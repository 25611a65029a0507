#include "log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <optional>

#include "files.hpp"

namespace init {

namespace {

constexpr std::uint32_t forwarded_per_second = 50;
constexpr std::uint32_t forwarded_burst = 200;

/// The first number of /proc/sys/kernel/printk: levels below it appear on the console.
int console_loglevel() noexcept {
    Text<64> text;
    if (read_text("/proc/sys/kernel/printk", text) != 0)
        return 0;
    std::string_view rest = text.view();
    const std::optional<std::string_view> first = next_part(rest, '\t');
    return first ? static_cast<int>(parse_number(trimmed(*first)).value_or(0)) : 0;
}

} // namespace

Log& log() noexcept {
    static Log instance;
    return instance;
}

void Log::open() noexcept {
    close();
    kmsg_ = ::open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    console_fd_ = ::open("/dev/console", O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    console_.attach(console_fd_);
    kernel_prints_ = kmsg_ >= 0 ? console_loglevel() : 0;
}

void Log::close() noexcept {
    console_.attach(-1);
    if (kmsg_ >= 0)
        ::close(kmsg_);
    if (console_fd_ >= 0)
        ::close(console_fd_);
    kmsg_ = console_fd_ = -1;
}

void Log::write(Level level, std::string_view text) noexcept {
    ring_.push(static_cast<int>(level), now_usec(), text);
    emit(level, text);
}

void Log::emit(Level level, std::string_view text) noexcept {
    const int number = static_cast<int>(level);
    if (kmsg_ >= 0) {
        // One record a write; the kernel refuses more than 1024 bytes with its prefix.
        const Text<1000> record("<", number, ">", text);
        // Nobody can be told when this fails.
        [[maybe_unused]] const ssize_t ignored = ::write(kmsg_, record.c_str(), record.view().size());
    }
    if (number >= kernel_prints_)
        console_.write(text);
}

bool Log::take_token() noexcept {
    const Msec now = now_msec();
    const Msec earned = (now - refilled_) * forwarded_per_second / 1000;
    if (earned > 0) {
        refilled_ = now;
        tokens_ = earned + tokens_ > forwarded_burst ? forwarded_burst : tokens_ + static_cast<std::uint32_t>(earned);
    }
    if (tokens_ == 0)
        return false;
    --tokens_;
    return true;
}

void Log::forward(Level level, std::string_view text) noexcept {
    ring_.push(static_cast<int>(level), now_usec(), text);
    if (!take_token()) {
        ++suppressed_;
        return;
    }
    if (suppressed_ > 0) {
        const Text<96> notice("init: ", suppressed_, " lines kept off the console, too many a second");
        suppressed_ = 0;
        emit(Level::warning, notice.view());
    }
    emit(level, text);
}

Level sanitize_line(std::string_view line, TextBuffer& text) noexcept {
    Level level = Level::info;
    if (line.size() >= 3 && line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>') {
        level = static_cast<Level>(line[1] < '3' ? 3 : line[1] - '0');
        line.remove_prefix(3);
    }
    for (const char character : line) {
        const auto byte = static_cast<unsigned char>(character);
        text.add(byte < 0x20 || byte == 0x7f ? '?' : character);
    }
    return level;
}

} // namespace init
