#include "console.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "text.hpp"

namespace init {

bool Console::append(std::string_view line) noexcept {
    if (line.size() + 2 > buffer_.size() - size_)
        return false;
    std::memcpy(buffer_.data() + size_, line.data(), line.size());
    size_ += line.size();
    buffer_[size_++] = '\r'; // a shell may have left the terminal raw
    buffer_[size_++] = '\n';
    return true;
}

void Console::write(std::string_view line) noexcept {
    if (fd_ < 0)
        return;
    flush();
    if (dropped_ > reported_) {
        const Text<96> notice("init: ", dropped_ - reported_, " lines dropped, the console is too slow");
        if (append(notice.view()))
            reported_ = dropped_;
    }
    if (dropped_ > reported_ || !append(line))
        ++dropped_;
    flush();
}

void Console::flush() noexcept {
    while (size_ > 0) {
        const ssize_t written = ::write(fd_, buffer_.data(), size_);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno != EAGAIN) {
            size_ = 0; // a terminal that hung up; do not keep what nobody will read
            return;
        }
        if (written <= 0)
            return;
        size_ -= static_cast<std::size_t>(written);
        std::memmove(buffer_.data(), buffer_.data() + written, size_);
    }
}

} // namespace init
