#include "runtime/specification.hpp"

namespace engine::runtime {

namespace {

struct Section {
    std::string_view path; ///< without indices
    std::string_view title;
};

constexpr Section of_config[] = {
    {"ociVersion", "Specification version"},
    {"root", "Root"},
    {"mounts", "Mounts"},
    {"mounts.options", "Linux mount options"},
    {"mounts.type", "POSIX-platform Mounts"},
    {"mounts.uidMappings", "POSIX-platform Mounts"},
    {"mounts.gidMappings", "POSIX-platform Mounts"},
    {"process", "Process"},
    {"process.rlimits", "POSIX process"},
    {"process.apparmorProfile", "Linux Process"},
    {"process.capabilities", "Linux Process"},
    {"process.noNewPrivileges", "Linux Process"},
    {"process.oomScoreAdj", "Linux Process"},
    {"process.scheduler", "Linux Process"},
    {"process.selinuxLabel", "Linux Process"},
    {"process.ioPriority", "Linux Process"},
    {"process.execCPUAffinity", "Linux Process"},
    {"process.user", "POSIX-platform User"},
    {"hostname", "Hostname"},
    {"domainname", "Domainname"},
    {"linux", "Platform-specific configuration"},
    {"hooks", "POSIX-platform Hooks"},
    {"annotations", "Annotations"},
};

constexpr Section of_config_linux[] = {
    {"linux.namespaces", "Namespaces"},
    {"linux.uidMappings", "User namespace mappings"},
    {"linux.gidMappings", "User namespace mappings"},
    {"linux.timeOffsets", "Offset for Time Namespace"},
    {"linux.devices", "Devices"},
    {"linux.netDevices", "Network Devices"},
    {"linux.cgroupsPath", "Cgroups Path"},
    {"linux.resources", "Control groups"},
    {"linux.resources.devices", "Allowed Device list"},
    {"linux.resources.memory", "Memory"},
    {"linux.resources.cpu", "CPU"},
    {"linux.resources.blockIO", "Block IO"},
    {"linux.resources.hugepageLimits", "Huge page limits"},
    {"linux.resources.network", "Network"},
    {"linux.resources.pids", "PIDs"},
    {"linux.resources.rdma", "RDMA"},
    {"linux.resources.unified", "Unified"},
    {"linux.intelRdt", "IntelRdt"},
    {"linux.memoryPolicy", "Memory policy"},
    {"linux.sysctl", "Sysctl"},
    {"linux.seccomp", "Seccomp"},
    {"linux.rootfsPropagation", "Rootfs Mount Propagation"},
    {"linux.maskedPaths", "Masked Paths"},
    {"linux.readonlyPaths", "Readonly Paths"},
    {"linux.mountLabel", "Mount Label"},
    {"linux.personality", "Personality"},
};

/// "mounts[3].options[0]" -> "mounts.options". Keys of a map may hold anything; they come last.
std::string without_indices(std::string_view path) {
    std::string plain;
    bool inside = false;
    for (const char c : path) {
        inside |= c == '[';
        if (!inside)
            plain += c;
        inside &= c != ']';
    }
    return plain;
}

template <std::size_t count>
const Section* longest_match(const Section (&sections)[count], std::string_view path) {
    const Section* best = nullptr;
    for (const Section& section : sections) {
        const bool matches =
            path.starts_with(section.path) && (path.size() == section.path.size() || path[section.path.size()] == '.');
        if (matches && (best == nullptr || section.path.size() > best->path.size()))
            best = &section;
    }
    return best;
}

} // namespace

std::string specification_section(std::string_view json_path) {
    const std::string path = without_indices(json_path);
    if (const Section* section = longest_match(of_config_linux, path))
        return "config-linux.md, \"" + std::string(section->title) + "\"";
    if (const Section* section = longest_match(of_config, path))
        return "config.md, \"" + std::string(section->title) + "\"";
    return {};
}

} // namespace engine::runtime
