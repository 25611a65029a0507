#include "log_ring.hpp"

#include <cstring>

namespace init {

bool LogRing::overlaps_oldest(std::size_t begin, std::size_t end) const noexcept {
    if (oldest_ == next_)
        return false;
    const Entry& oldest = entries_[oldest_ % line_count];
    // An empty line counts as one byte: it must not hide the line behind it, which has the same offset.
    const std::size_t length = oldest.length == 0 ? 1 : oldest.length;
    return begin < oldest.offset + length && oldest.offset < end;
}

void LogRing::push(int level, std::uint64_t usec, std::string_view text) noexcept {
    const std::size_t length = text.size() < max_text ? text.size() : max_text;
    if (write_ + length > text_size) {
        // A text is never split. What lies between here and the end is the oldest, and is lost with the wrap.
        while (oldest_ != next_ && entries_[oldest_ % line_count].offset >= write_)
            ++oldest_;
        write_ = 0;
    }
    while (next_ - oldest_ == line_count || overlaps_oldest(write_, write_ + length))
        ++oldest_;
    if (length > 0)
        std::memcpy(text_.data() + write_, text.data(), length);
    entries_[next_ % line_count] = {usec, static_cast<std::uint32_t>(write_), static_cast<std::uint16_t>(length),
                                    static_cast<std::uint16_t>(level)};
    write_ += length;
    ++next_;
}

bool LogRing::read(std::uint64_t sequence, Line& line) const noexcept {
    const std::uint64_t found = sequence < oldest_ ? oldest_ : sequence;
    if (found >= next_)
        return false;
    const Entry& entry = entries_[found % line_count];
    line = {found, entry.usec, entry.level, {text_.data() + entry.offset, entry.length}};
    return true;
}

} // namespace init
