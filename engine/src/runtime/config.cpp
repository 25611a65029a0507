#include "runtime/config.hpp"

#include <sched.h>

#include "base/error.hpp"
#include "base/json.hpp"
#include "runtime/config_parts.hpp"
#include "runtime/names.hpp"

namespace engine::runtime {

namespace {

constexpr std::int64_t highest_id = 0xfffffffeLL; // 0xffffffff is "no id" to the kernel

/// Unknown ones are warnings by the specification: a configuration may name those of a later kernel.
std::uint64_t read_capability_set(const JsonCursor& names, std::vector<std::string>& warnings) {
    std::uint64_t set = 0;
    names.each([&](const JsonCursor& name) {
        if (const std::optional<unsigned> number = capability_number(name.string()))
            set |= std::uint64_t{1} << *number;
        else
            warnings.push_back(name.path() + ": unknown capability \"" + name.string() + "\" is not granted");
    });
    return set;
}

CapabilitySets read_capabilities(const JsonCursor& capabilities, std::vector<std::string>& warnings) {
    CapabilitySets sets;
    const auto read = [&](std::string_view key, std::uint64_t& set) {
        capabilities.optional(key, [&](const JsonCursor& names) { set = read_capability_set(names, warnings); });
    };
    read("bounding", sets.bounding);
    read("effective", sets.effective);
    read("inheritable", sets.inheritable);
    read("permitted", sets.permitted);
    read("ambient", sets.ambient);
    // capset(2) and prctl(2) would refuse: "cannot be granted" is a warning as well.
    const auto keep = [&](std::uint64_t& set, std::uint64_t possible, const char* message) {
        if ((set & ~possible) != 0)
            warnings.push_back(capabilities.path() + message);
        set &= possible;
    };
    keep(sets.effective, sets.permitted, ".effective: what \"permitted\" does not hold is not granted");
    keep(sets.ambient, sets.permitted & sets.inheritable,
         ".ambient: what \"permitted\" and \"inheritable\" do not both hold is not granted");
    return sets;
}

User read_user(const JsonCursor& user) {
    User result;
    user.optional("uid", [&](const JsonCursor& uid) { result.uid = static_cast<uid_t>(uid.integer(0, highest_id)); });
    user.optional("gid", [&](const JsonCursor& gid) { result.gid = static_cast<gid_t>(gid.integer(0, highest_id)); });
    user.optional("umask", [&](const JsonCursor& mask) { result.umask = static_cast<mode_t>(mask.integer(0, 0777)); });
    user.optional("additionalGids", [&](const JsonCursor& gids) {
        gids.each([&](const JsonCursor& gid) {
            result.additional_gids.push_back(static_cast<gid_t>(gid.integer(0, highest_id)));
        });
    });
    return result;
}

std::vector<Rlimit> read_rlimits(const JsonCursor& rlimits) {
    std::vector<Rlimit> result;
    rlimits.each([&](const JsonCursor& entry) {
        Rlimit limit;
        entry.required("type", [&](const JsonCursor& type) {
            const std::optional<int> number = rlimit_number(type.string());
            if (!number)
                type.fail("unknown resource limit \"" + type.string() + "\"");
            limit.resource = *number;
        });
        entry.required("soft", [&](const JsonCursor& soft) { limit.limit.rlim_cur = soft.unsigned_integer(); });
        entry.required("hard", [&](const JsonCursor& hard) { limit.limit.rlim_max = hard.unsigned_integer(); });
        if (limit.limit.rlim_cur > limit.limit.rlim_max)
            entry.fail("the soft limit is above the hard limit");
        for (const Rlimit& other : result)
            if (other.resource == limit.resource)
                entry.fail("this resource limit is given twice");
        result.push_back(limit);
    });
    return result;
}

std::vector<Hook> read_hook_list(const JsonCursor& hooks) {
    std::vector<Hook> result;
    hooks.each([&](const JsonCursor& entry) {
        Hook hook;
        entry.required("path", [&](const JsonCursor& path) { hook.path = path.absolute_path(); });
        entry.optional("args", [&](const JsonCursor& args) { hook.args = args.strings(); });
        entry.optional("env", [&](const JsonCursor& env) { hook.env = env.strings(); });
        entry.optional("timeout", [&](const JsonCursor& timeout) {
            hook.timeout_seconds = static_cast<int>(timeout.integer(1, std::numeric_limits<int>::max()));
        });
        if (hook.args.empty())
            hook.args.push_back(hook.path);
        result.push_back(std::move(hook));
    });
    return result;
}

/// "1.MINOR.PATCH" of semantic versioning; "-rc.1", "+dev" and the like may follow.
bool is_version_one(std::string_view text) {
    if (!text.starts_with("1."))
        return false;
    const auto skip_number = [&] {
        const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
        text.remove_prefix(digits);
        return digits != 0;
    };
    text.remove_prefix(2);
    if (!skip_number() || !text.starts_with('.'))
        return false;
    text.remove_prefix(1);
    return skip_number() && (text.empty() || text.front() == '-' || text.front() == '+');
}

void read_version(const JsonCursor& version, Config& config) {
    config.oci_version = version.text();
    // 1.x is backward compatible by the specification's promise; what we cannot do of a later 1.x is refused by field.
    if (!is_version_one(config.oci_version))
        version.fail("version \"" + config.oci_version + "\" is not supported: this runtime speaks 1.x");
}

void read_root(const JsonCursor& root, const std::string& bundle, Root& result) {
    root.required("path", [&](const JsonCursor& path) {
        result.path = path.text();
        if (result.path.front() != '/')
            result.path = bundle + "/" + result.path;
        result.path = normal_path(result.path);
    });
    root.optional("readonly", [&](const JsonCursor& readonly) { result.readonly = readonly.boolean(); });
}

std::string read_name(const JsonCursor& name) {
    std::string text = name.string();
    if (text.size() > 64)
        name.fail("is longer than the kernel's 64 characters");
    return text;
}

} // namespace

std::string normal_path(const std::string& path) {
    std::vector<std::string_view> components;
    std::string_view rest = path;
    while (!rest.empty()) {
        const std::size_t slash = rest.find('/');
        const std::string_view component = rest.substr(0, slash);
        rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
        if (component.empty() || component == ".")
            continue;
        if (component != "..")
            components.push_back(component);
        else if (!components.empty())
            components.pop_back();
    }
    std::string normal;
    for (const std::string_view component : components)
        normal.append("/").append(component);
    return normal.empty() ? "/" : normal;
}

Process read_process(const JsonCursor& process) {
    Process result;
    process.optional("terminal", [&](const JsonCursor& terminal) { result.terminal = terminal.boolean(); });
    process.optional("consoleSize", [&](const JsonCursor& size) {
        size.required("height", [&](const JsonCursor& rows) { result.console_rows = rows.number<unsigned short>(); });
        size.required("width",
                      [&](const JsonCursor& columns) { result.console_columns = columns.number<unsigned short>(); });
    });
    process.optional("user", [&](const JsonCursor& user) { result.user = read_user(user); });
    process.required("args", [&](const JsonCursor& args) {
        result.args = args.strings();
        if (result.args.empty() || result.args.front().empty())
            args.fail("names no program");
    });
    process.optional("env", [&](const JsonCursor& env) {
        result.env = env.strings();
        env.each([](const JsonCursor& variable) {
            const std::string text = variable.string();
            if (text.find('=') == std::string::npos || text.front() == '=')
                variable.fail("\"" + text + "\" is not of the form NAME=value");
        });
    });
    process.required("cwd", [&](const JsonCursor& cwd) { result.cwd = cwd.absolute_path(); });
    process.optional("capabilities", [&](const JsonCursor& capabilities) {
        result.capabilities = read_capabilities(capabilities, result.warnings);
    });
    process.optional("rlimits", [&](const JsonCursor& rlimits) { result.rlimits = read_rlimits(rlimits); });
    process.optional("noNewPrivileges", [&](const JsonCursor& flag) { result.no_new_privileges = flag.boolean(); });
    process.optional("oomScoreAdj", [&](const JsonCursor& adjustment) {
        result.oom_score_adj = static_cast<int>(adjustment.integer(-1000, 1000));
    });
    process.optional("apparmorProfile", [&](const JsonCursor& profile) { result.apparmor_profile = profile.string(); });
    process.optional("selinuxLabel", [](const JsonCursor& label) {
        if (!label.string().empty())
            label.fail("not supported: this runtime has no SELinux support");
    });
    process.optional("scheduler", [&](const JsonCursor& scheduler) { result.scheduler = read_scheduler(scheduler); });
    process.optional("ioPriority", [&](const JsonCursor& io) { result.io_priority = read_io_priority(io); });
    process.optional("execCPUAffinity",
                     [&](const JsonCursor& affinity) { result.exec_affinity = read_affinity(affinity); });
    return result;
}

Hooks read_hooks(const JsonCursor& hooks) {
    Hooks result;
    const auto read = [&](std::string_view key, std::vector<Hook>& list) {
        hooks.optional(key, [&](const JsonCursor& entries) { list = read_hook_list(entries); });
    };
    read("prestart", result.prestart);
    read("createRuntime", result.create_runtime);
    read("createContainer", result.create_container);
    read("startContainer", result.start_container);
    read("poststart", result.poststart);
    read("poststop", result.poststop);
    return result;
}

Config parse_config(std::string_view text, const std::string& name, const std::string& bundle) {
    const json::value document = base::parse_json(text, name);
    const JsonCursor top(document, name);
    Config config;
    top.required("ociVersion", [&](const JsonCursor& version) { read_version(version, config); });
    top.required("root", [&](const JsonCursor& root) { read_root(root, bundle, config.root); });
    top.optional("process", [&](const JsonCursor& process) { config.process = read_process(process); });
    top.optional("hostname", [&](const JsonCursor& hostname) { config.hostname = read_name(hostname); });
    top.optional("domainname", [&](const JsonCursor& domainname) { config.domainname = read_name(domainname); });
    top.optional("mounts", [&](const JsonCursor& mounts) {
        mounts.each([&](const JsonCursor& mount) { config.mounts.push_back(read_mount(mount)); });
    });
    top.optional("hooks", [&](const JsonCursor& hooks) { config.hooks = read_hooks(hooks); });
    top.optional("annotations", [&](const JsonCursor& annotations) {
        annotations.members(
            [&](std::string_view key, const JsonCursor& value) { config.annotations.emplace(key, value.string()); });
    });
    top.required("linux", [&](const JsonCursor& linux_part) { config.linux_part = read_linux(linux_part); });

    top.optional("mounts", [&](const JsonCursor& mounts) { complete_id_mappings(mounts, config); });
    const Linux& parts = config.linux_part;
    if (parts.find(CLONE_NEWUTS) == nullptr && (!config.hostname.empty() || !config.domainname.empty()))
        top.fail_at(config.hostname.empty() ? "domainname" : "hostname",
                    "needs a uts namespace in linux.namespaces, or the host's would change");
    return config;
}

Process parse_process(std::string_view text, const std::string& name) {
    const json::value document = base::parse_json(text, name);
    return read_process(JsonCursor(document, name, "process."));
}

Resources parse_resources(std::string_view text, const std::string& name) {
    const json::value document = base::parse_json(text, name);
    return read_resources(JsonCursor(document, name, "linux.resources."));
}

} // namespace engine::runtime
