// The state file, the history, and what comes out of them again: what was read is written so that it reads the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.hpp"
#include "updater/history.hpp"
#include "updater/record.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const std::string once = updater::serialize_record(updater::parse_record(text, "state"));
        if (updater::serialize_record(updater::parse_record(once, "again")) != once)
            __builtin_trap();
    } catch (const base::Error&) {
    }
    try {
        updater::History::parse(text, "history");
    } catch (const base::Error&) {
        return 0;
    }
    return 0;
}
