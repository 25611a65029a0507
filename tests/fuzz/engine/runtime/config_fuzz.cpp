// config.json to the plan: what is accepted makes a plan whose every part the child can use without looking.
#include <cstdlib>

#include "base/error.hpp"
#include "runtime/device_filter.hpp"
#include "runtime/plan.hpp"
#include "runtime/stages.hpp"

namespace {

void require(bool condition) {
    if (!condition)
        std::abort();
}

void check_path(const std::string& path) {
    require(!path.empty() && path.front() == '/' && path.size() < 4096 && path.find('\0') == std::string::npos);
    require((path + "/").find("/../") == std::string::npos && path.find("//") == std::string::npos);
}

void check_plan(const engine::runtime::ContainerPlan& plan) {
    require(plan.process.argv.size() > 0);
    check_path(plan.rootfs);
    for (const auto& mount : plan.mounts) {
        check_path(mount.destination);
        require(mount.destination != "/");
        for (const auto& [key, value] : mount.data)
            require(mount.by_mount_call || value.size() < 256);
        require(mount.uid_map.empty() == mount.gid_map.empty());
        require(mount.id_mapped || mount.uid_map.empty());
    }
    for (const auto& device : plan.devices)
        check_path(device.path);
    for (const auto& [name, value] : plan.sysctl)
        require(("/" + name + "/").find("/../") == std::string::npos);
    const auto& sets = plan.process.capabilities;
    require((sets.effective & ~sets.permitted) == 0);
    for (int stage = 0; stage <= static_cast<int>(engine::runtime::Stage::exec); ++stage)
        for (const int index : {-1, 0, 1 << 20})
            engine::runtime::describe({engine::runtime::Message::Kind::failed,
                                       static_cast<engine::runtime::Stage>(stage), engine::runtime::Operation::open, 1,
                                       index},
                                      &plan, plan.process);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const std::string text(reinterpret_cast<const char*>(data), size);
        engine::runtime::Config config = engine::runtime::parse_config(text, "config.json", "/bundle");
        // Namespaces to join would be opened, and the filter written to a cache: neither is the reader's.
        for (auto& entry : config.linux_part.namespaces)
            entry.path.clear();
        if (config.linux_part.seccomp) {
            require(config.linux_part.seccomp->notifies == !config.linux_part.seccomp->listener_path.empty());
            config.linux_part.seccomp.reset();
        }
        if (config.linux_part.resources.has_device_rules)
            require(!engine::runtime::device_program(config.linux_part.resources.devices).empty());
        engine::runtime::PlanOptions options;
        options.id = "fuzz";
        options.bundle = "/bundle";
        options.cgroup_path = "/sys/fs/cgroup/fuzz";
        check_plan(engine::runtime::make_plan(config, options));
    } catch (const base::Error&) {
        return 0; // refused
    }
    return 0;
}
