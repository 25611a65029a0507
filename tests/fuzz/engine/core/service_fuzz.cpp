// Service YAML: whatever the text, a service or a ConfigError.
#include "base/config_reader.hpp"
#include "core/service_config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        auto service = engine::parse_service({reinterpret_cast<const char*>(data), size}, "fuzz.yaml");
        std::vector<std::string> problems;
        if (engine::order_services({service}, problems).size() != 1)
            __builtin_trap();
    } catch (const base::ConfigError&) {
    }
    return 0;
}
