// The host's resolv.conf, mountinfo, signal names and container names: texts that others write.
#include "core/cgroups.hpp"
#include "core/container_files.hpp"
#include "core/identity.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    engine::ContainerConfig config;
    config.extra_hosts = {text};
    const std::string made = engine::make_resolv_conf(text, config);
    if (made.find("nameserver 127.") == 0)
        __builtin_trap();
    (void)engine::make_hosts(config, "h", "1.2.3.4");
    (void)engine::find_cgroup2_mount(text);
    (void)engine::parse_signal(text);
    (void)engine::valid_container_name(text);
    return 0;
}
