// A container's output is hostile: whatever it writes, each line of the log is one JSON object that can be read.
#include "engine/log_reader.hpp"
#include "monitor/log_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    std::string line = "{\"log\":\"";
    engine::monitor::append_json_text(line, text);
    line += "\",\"stream\":\"stdout\",\"time\":\"2026-11-21T00:00:00Z\"}";
    if (line.find('\n') != std::string::npos || !engine::parse_log_line(line))
        __builtin_trap();
    (void)engine::parse_log_line(text);
    return 0;
}
