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
constexpr std::string_view refused[] = {"move"};

// What is so anyway, or what Linux no longer looks at: mandatory locks (5.15), and whether it logs a failing mount.
constexpr std::string_view without_effect[] = {"async", "defaults", "loud", "mand", "nomand", "noiversion", "silent"};

struct Switch {
    std::string_view name;
    bool MountOptions::*member;
};
constexpr Switch switches[] = {
    {"bind", &MountOptions::bind},
    {"idmap", &MountOptions::id_mapped},
    {"iversion", &MountOptions::inode_versions},
    {"rbind", &MountOptions::recursive_bind},
    {"remount", &MountOptions::remount},
    {"ridmap", &MountOptions::recursive_id_map},
    {"tmpcopyup", &MountOptions::copy_up},
};
// Of the file system, for `features`; they go to it as data.
constexpr std::string_view of_file_system[] = {"dirsync", "lazytime", "nolazytime", "sync"};

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
    if (option.starts_with("idmap=") || option.starts_with("ridmap=")) {
        options.id_mapped = true;
        options.recursive_id_map = option.front() == 'r';
        options.id_map = option.substr(option.find('=') + 1);
        return true;
    }
    if (std::find(std::begin(without_effect), std::end(without_effect), option) != std::end(without_effect))
        return true;
    for (const Switch& entry : switches) {
        if (option == entry.name) {
            options.*entry.member = true;
            options.bind |= options.recursive_bind;
            options.id_mapped |= options.recursive_id_map;
            if (option == "bind")
                options.recursive_bind = false; // later ones win
            return true;
        }
    }
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
    std::vector<std::string> names(std::begin(without_effect), std::end(without_effect));
    names.insert(names.end(), std::begin(of_file_system), std::end(of_file_system));
    for (const Switch& entry : switches)
        names.emplace_back(entry.name);
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
