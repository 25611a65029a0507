// Any text is either a configuration or a list of problems; no YAML exception leaves the reader.
#include "base/config_reader.hpp"
#include "base/host_config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        base::HostConfig::parse(text, "host.yaml");
    } catch (const base::ConfigError& error) {
        if (error.problems().empty())
            __builtin_trap();
    }
    return 0;
}
