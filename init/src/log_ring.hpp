// The last lines of init's log, in a fixed amount of memory.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace init {

/// Keeps the newest lines; each has a sequence number, so that a reader sees by a gap what it missed.
class LogRing {
public:
    static constexpr std::size_t max_text = 960; ///< longer lines are cut off
    static constexpr std::size_t line_count = 1024;
    static constexpr std::size_t text_size = std::size_t{96} * 1024;

    struct Line {
        std::uint64_t sequence;
        std::uint64_t usec;
        std::uint32_t level;
        std::string_view text; ///< valid until the next `push`
    };

    void push(int level, std::uint64_t usec, std::string_view text) noexcept;
    /// The first line at or after `sequence`. False: there is none.
    bool read(std::uint64_t sequence, Line& line) const noexcept;
    /// The sequence number that the next line gets.
    std::uint64_t next() const noexcept { return next_; }
    std::uint64_t oldest() const noexcept { return oldest_; }

private:
    struct Entry {
        std::uint64_t usec;
        std::uint32_t offset;
        std::uint16_t length;
        std::uint16_t level;
    };
    bool overlaps_oldest(std::size_t begin, std::size_t end) const noexcept;

    std::array<Entry, line_count> entries_{};
    std::array<char, text_size> text_{};
    std::size_t write_ = 0;    ///< where the next text goes
    std::uint64_t oldest_ = 0; ///< lines [oldest_, next_) are there
    std::uint64_t next_ = 0;
};

} // namespace init
