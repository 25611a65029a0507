// What a monitor leaves behind or says: exit records and state messages.
#include "core/monitor_client.hpp"
#include "monitor/exit_record.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto record = engine::monitor::parse_exit_record(text)) {
        const auto again = engine::monitor::parse_exit_record(engine::monitor::format_exit_record(*record));
        if (!again || again->code != record->code || again->signal != record->signal)
            __builtin_trap();
    }
    (void)engine::parse_state(text);
    return 0;
}
