// host.yaml: any text is a configuration or a list of problems, and every check of it can be named.
#include "base/error.hpp"
#include "base/host_config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const base::HostConfig config = base::HostConfig::parse(text, "host.yaml");
        if (config.health.size() > 64 || config.update.trial_seconds == 0)
            __builtin_trap();
        for (const base::HealthCheck& check : config.health)
            if (check.name.empty() || check.describe().empty())
                __builtin_trap();
    } catch (const base::Error&) {
    }
    return 0;
}
