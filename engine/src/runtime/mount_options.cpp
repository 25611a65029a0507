#include "runtime/mount_options.hpp"

#include <linux/mount.h>
// linux/mount.h and sys/mount.h of glibc 2.36 do not go together; these are the kernel's MS_* of linux/mount.h.

namespace engine::runtime {

namespace {

struct Attribute {
    std::string_view name;
    std::uint64_t set, clear;
};

// "strictatime" and friends are values of one field, not bits: the field is cleared before one is set.
constexpr std::uint64_t atime = MOUNT_ATTR__ATIME;
constexpr Attribute attributes[] = {
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, MOUNT_ATTR_RDONLY},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
    {"relatime", MOUNT_ATTR_RELATIME, atime},
    {"norelatime", MOUNT_ATTR_STRICTATIME, atime},
    {"noatime", MOUNT_ATTR_NOATIME, atime},
    {"atime", MOUNT_ATTR_RELATIME, atime},
    {"strictatime", MOUNT_ATTR_STRICTATIME, atime},
    {"nostrictatime", MOUNT_ATTR_RELATIME, atime},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
};

struct Propagation {
    std::string_view name;
    std::uint64_t value;
    bool recursive;
};
constexpr Propagation propagations[] = {
    {"shared", MS_SHARED, false},         {"rshared", MS_SHARED, true},         {"slave", MS_SLAVE, false},
    {"rslave", MS_SLAVE, true},           {"private", MS_PRIVATE, false},       {"rprivate", MS_PRIVATE, true},
    {"unbindable", MS_UNBINDABLE, false}, {"runbindable", MS_UNBINDABLE, true},
};

// Options that need a mechanism we do not have. Passed to a file system they would do something else, or nothing.
constexpr std::string_view refused[] = {"idmap", "ridmap", "remount", "move"};

const Attribute* find_attribute(std::string_view name) {
    for (const Attribute& attribute : attributes)
        if (attribute.name == name)
            return &attribute;
    return nullptr;
}

void merge(std::uint64_t& set, std::uint64_t& clear, const Attribute& attribute) {
    set = (set & ~attribute.clear) | attribute.set;
    clear = (clear & ~attribute.set) | attribute.clear;
}

} // namespace

bool apply_mount_option(MountOptions& options, std::string_view option) {
    for (const std::string_view name : refused)
        if (option == name || (option.starts_with(name) && option[name.size()] == '='))
            return false;
    if (option == "bind" || option == "rbind") {
        options.bind = true;
        options.recursive_bind = option == "rbind";
        return true;
    }
    if (option == "tmpcopyup") {
        options.copy_up = true;
        return true;
    }
    if (option == "defaults" || option == "async")
        return true;
    for (const Propagation& propagation : propagations) {
        if (option == propagation.name) {
            options.propagation = propagation.value;
            options.propagation_recursive = propagation.recursive;
            return true;
        }
    }
    if (const Attribute* attribute = find_attribute(option)) {
        merge(options.set, options.clear, *attribute);
        return true;
    }
    // "rro", "rnosuid", ...: the specification's recursive attributes; "relatime" and the like matched above.
    if (option.starts_with('r')) {
        if (const Attribute* attribute = find_attribute(option.substr(1))) {
            merge(options.recursive_set, options.recursive_clear, *attribute);
            return true;
        }
    }
    if (option.empty())
        return true;
    const std::size_t equals = option.find('=');
    if (equals == std::string_view::npos)
        options.data.emplace_back(option, "");
    else
        options.data.emplace_back(option.substr(0, equals), option.substr(equals + 1));
    return true;
}

std::vector<std::string> known_mount_options() {
    std::vector<std::string> names{"async", "bind", "defaults", "rbind", "tmpcopyup"};
    for (const Attribute& attribute : attributes) {
        names.emplace_back(attribute.name);
        names.push_back("r" + std::string(attribute.name));
    }
    for (const Propagation& propagation : propagations)
        names.emplace_back(propagation.name);
    std::sort(names.begin(), names.end());
    return names;
}

} // namespace engine::runtime
