// "mounts" of config.json.
#include <sched.h>

#include <charconv>

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

/// The number at the front of `text`, which it is taken from; then `separator`, or the end when that is 0.
std::uint32_t take_number(std::string_view& text, char separator, const JsonCursor& at) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    std::string_view rest = text.substr(static_cast<std::size_t>(end - text.data()));
    if (error != std::errc{} || (separator == 0 ? !rest.empty() : !rest.starts_with(separator)))
        at.fail("an id mapping is written as uids=FILE-HOST-SIZE#...;gids=...");
    text = separator == 0 ? rest : rest.substr(1);
    return number;
}

/// "FILE-HOST-SIZE"; with "@" in front HOST is of the user namespace, whose mapping is `outer`.
IdMapping take_mapping(std::string_view text, const std::vector<IdMapping>& outer, const JsonCursor& at) {
    const bool relative = text.starts_with('@');
    text.remove_prefix(relative ? 1 : 0);
    IdMapping mapping;
    mapping.container = take_number(text, '-', at);
    mapping.host = take_number(text, '-', at);
    mapping.size = take_number(text, 0, at);
    if (mapping.size == 0)
        at.fail("an id mapping maps nothing: its size is 0");
    if (!relative)
        return mapping;
    for (const IdMapping& range : outer) {
        const bool within = mapping.host >= range.container && mapping.size <= range.size &&
                            mapping.host - range.container <= range.size - mapping.size;
        if (!within)
            continue;
        mapping.host = mapping.host - range.container + range.host;
        return mapping;
    }
    at.fail("an id mapping relative to the user namespace is not within one of its ranges");
}

std::vector<IdMapping> take_mappings(std::string_view text, const std::vector<IdMapping>& outer, const JsonCursor& at) {
    std::vector<IdMapping> mappings;
    for (std::size_t end = 0; end != std::string_view::npos;) {
        end = text.find('#');
        mappings.push_back(take_mapping(text.substr(0, end), outer, at));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
    if (mappings.size() > 340) // user_namespaces(7)
        at.fail("an id mapping has more than the kernel's 340 lines");
    return mappings;
}

/// podman's and crun's syntax for what the specification has members for.
void apply_id_map_option(const JsonCursor& options, Mount& mount, const Linux& linux_part) {
    if (!mount.uid_mappings.empty())
        options.fail("\"idmap=\" beside \"uidMappings\" and \"gidMappings\"");
    std::string_view text = mount.options.id_map;
    while (!text.empty()) {
        const std::size_t end = text.find(';');
        const std::string_view part = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        if (part.starts_with("uids="))
            mount.uid_mappings = take_mappings(part.substr(5), linux_part.uid_mappings, options);
        else if (part.starts_with("gids="))
            mount.gid_mappings = take_mappings(part.substr(5), linux_part.gid_mappings, options);
        else
            options.fail("an id mapping is written as uids=FILE-HOST-SIZE#...;gids=...");
    }
    if (mount.uid_mappings.empty() || mount.gid_mappings.empty())
        options.fail("an id mapping needs both uids= and gids=");
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

void complete_id_mappings(const JsonCursor& mounts, Config& config) {
    std::size_t index = 0;
    mounts.each([&](const JsonCursor& entry) {
        Mount& mount = config.mounts[index++];
        if (!mount.options.id_map.empty())
            entry.optional("options",
                           [&](const JsonCursor& options) { apply_id_map_option(options, mount, config.linux_part); });
        if (mount.options.id_mapped && mount.uid_mappings.empty() && config.linux_part.find(CLONE_NEWUSER) == nullptr)
            entry.fail("\"idmap\" needs \"uidMappings\" and \"gidMappings\", or a user namespace in linux.namespaces");
    });
}

} // namespace engine::runtime
