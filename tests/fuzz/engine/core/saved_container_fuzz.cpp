// config.json and state.json of a container: what is read can be written and is then read as the same.
#include "base/error.hpp"
#include "core/config_json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const auto container = engine::parse_saved_container(text, "fuzz");
        const auto again = engine::parse_saved_container(engine::format_saved_container(container), "again");
        if (!(again.config == container.config) || again.name != container.name)
            __builtin_trap();
    } catch (const base::Error&) {
    }
    try {
        (void)engine::parse_saved_state(text, "fuzz");
    } catch (const base::Error&) {
    }
    return 0;
}
