// Lines out of a pipe that anybody may write anything to.
#pragma once
#include <array>
#include <cstddef>
#include <string_view>

namespace init {

/// Collects bytes and hands out lines. A line longer than the buffer comes in pieces; NUL bytes are kept.
class LineReader {
public:
    static constexpr std::size_t max_line = 900;

    template <typename Sink>
    void feed(std::string_view bytes, Sink&& sink) noexcept {
        for (const char byte : bytes) {
            if (byte == '\n') {
                sink(std::string_view(line_.data(), size_));
                size_ = 0;
                continue;
            }
            if (size_ == line_.size()) {
                sink(std::string_view(line_.data(), size_));
                size_ = 0;
            }
            line_[size_++] = byte;
        }
    }

private:
    std::array<char, max_line> line_{};
    std::size_t size_ = 0;
};

} // namespace init
