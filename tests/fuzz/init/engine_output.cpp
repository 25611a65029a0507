// What engined and everybody who inherited its standard error writes: lines, levels, and the ring that keeps them.
#include <cstdlib>
#include <memory>

#include "line_reader.hpp"
#include "log.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto ring = std::make_unique<init::LogRing>();
    static init::LineReader reader;
    reader.feed({reinterpret_cast<const char*>(data), size}, [](std::string_view line) {
        init::Text<init::LogRing::max_text> text;
        const init::Level level = init::sanitize_line(line, text);
        for (const char character : text.view()) {
            if (static_cast<unsigned char>(character) < 0x20 || character == 0x7f)
                std::abort();
        }
        ring->push(static_cast<int>(level), 0, text.view());
        init::LogRing::Line read;
        if (!ring->read(ring->next() - 1, read) || read.text != text.view() || !ring->read(0, read))
            std::abort();
    });
    return 0;
}
