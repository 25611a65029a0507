// "mounts" of config.json.
#include <sched.h>

#include "runtime/config_parts.hpp"

namespace engine::runtime {

namespace {

/// What a kind of mount cannot be combined with.
void check_combination(const JsonCursor& mount, const Mount& result) {
    const MountOptions& options = result.options;
    if (options.remount) {
        if (options.copy_up || options.id_mapped || options.recursive_bind)
            mount.fail("\"remount\" changes a mount's options only: no \"rbind\", \"idmap\" or \"tmpcopyup\"");
    } else if (options.bind) {
        if (result.source.empty())
            mount.fail("a bind mount needs a \"source\"");
    } else if (result.type.empty()) {
        mount.fail("needs a \"type\", or the option \"bind\"");
    }
    if (options.bind && !options.data.empty())
        mount.fail("not supported: mount option \"" + options.data.front().first + "\" on a bind mount");
    if (options.bind && options.inode_versions)
        mount.fail("not supported: mount option \"iversion\" on a bind mount");
    if (options.copy_up && result.type != "tmpfs")
        mount.fail("\"tmpcopyup\" is for tmpfs only");
}

void read_mappings(const JsonCursor& mount, Mount& result) {
    mount.optional("uidMappings",
                   [&](const JsonCursor& mappings) { result.uid_mappings = read_id_mappings(mappings); });
    mount.optional("gidMappings",
                   [&](const JsonCursor& mappings) { result.gid_mappings = read_id_mappings(mappings); });
    if (result.uid_mappings.empty() != result.gid_mappings.empty())
        mount.fail("\"uidMappings\" and \"gidMappings\" are given together or not at all");
    // The option "should" be there as well; a mapping that is asked for is made in any case.
    result.options.id_mapped |= !result.uid_mappings.empty();
}

} // namespace

Mount read_mount(const JsonCursor& mount) {
    Mount result;
    mount.required("destination", [&](const JsonCursor& destination) {
        // Relative destinations are deprecated by the specification, yet still meant from "/".
        result.destination = normal_path("/" + destination.text());
        if (result.destination == "/")
            destination.fail("a mount on the root itself is not possible; use root.path");
        if (result.destination.size() >= 4096)
            destination.fail("is longer than a path may be");
    });
    mount.optional("type", [&](const JsonCursor& type) { result.type = type.string(); });
    mount.optional("source", [&](const JsonCursor& source) { result.source = source.string(); });
    mount.optional("options", [&](const JsonCursor& options) {
        options.each([&](const JsonCursor& option) {
            if (!apply_mount_option(result.options, option.string()))
                option.fail("not supported: mount option \"" + option.string() + "\"");
        });
    });
    read_mappings(mount, result);
    if (result.type == "bind" || result.type == "rbind") {
        result.options.bind = true;
        result.options.recursive_bind |= result.type == "rbind";
    }
    check_combination(mount, result);
    return result;
}

void check_id_mapped_mounts(const JsonCursor& mounts, const Config& config) {
    std::size_t index = 0;
    mounts.each([&](const JsonCursor& mount) {
        const Mount& one = config.mounts[index++];
        if (one.options.id_mapped && one.uid_mappings.empty() && config.linux_part.find(CLONE_NEWUSER) == nullptr)
            mount.fail("\"idmap\" needs \"uidMappings\" and \"gidMappings\", or a user namespace in linux.namespaces");
    });
}

} // namespace engine::runtime
