// linux.seccomp of config.json.
#include <cerrno>
#include <linux/seccomp.h>
#include <seccomp.h>

#include "runtime/config_parts.hpp"

namespace engine::runtime {

namespace {

struct Name {
    std::string_view name;
    std::uint32_t value;
};

constexpr Name architectures[] = {
    {"SCMP_ARCH_X86", SCMP_ARCH_X86},
    {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
    {"SCMP_ARCH_X32", SCMP_ARCH_X32},
    {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
    {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64},
    {"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS},
    {"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64},
    {"SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32},
    {"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL},
    {"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64},
    {"SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32},
    {"SCMP_ARCH_PPC", SCMP_ARCH_PPC},
    {"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64},
    {"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE},
    {"SCMP_ARCH_S390", SCMP_ARCH_S390},
    {"SCMP_ARCH_S390X", SCMP_ARCH_S390X},
    {"SCMP_ARCH_PARISC", SCMP_ARCH_PARISC},
    {"SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64},
    {"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64},
#ifdef SCMP_ARCH_LOONGARCH64 // libseccomp 2.6
    {"SCMP_ARCH_LOONGARCH64", SCMP_ARCH_LOONGARCH64},
#endif
#ifdef SCMP_ARCH_M68K
    {"SCMP_ARCH_M68K", SCMP_ARCH_M68K},
#endif
#ifdef SCMP_ARCH_SH
    {"SCMP_ARCH_SH", SCMP_ARCH_SH},
    {"SCMP_ARCH_SHEB", SCMP_ARCH_SHEB},
#endif
};

constexpr Name actions[] = {
    {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
    {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
    {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
    {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
    {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0)},
    {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0)},
    {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
    {"SCMP_ACT_LOG", SCMP_ACT_LOG},
    {"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY},
};

constexpr Name comparisons[] = {
    {"SCMP_CMP_NE", SCMP_CMP_NE},
    {"SCMP_CMP_LT", SCMP_CMP_LT},
    {"SCMP_CMP_LE", SCMP_CMP_LE},
    {"SCMP_CMP_EQ", SCMP_CMP_EQ},
    {"SCMP_CMP_GE", SCMP_CMP_GE},
    {"SCMP_CMP_GT", SCMP_CMP_GT},
    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};

constexpr std::uint32_t wait_killable_flag = 1U << 5; // Linux 5.19

constexpr Name load_flags[] = {
    {"SECCOMP_FILTER_FLAG_TSYNC", 0}, // the process has one thread
    {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", wait_killable_flag},
};

std::vector<std::string> names_of(std::span<const Name> table) {
    std::vector<std::string> names;
    for (const Name& entry : table)
        names.emplace_back(entry.name);
    return names;
}

std::uint32_t look_up(const JsonCursor& name, std::span<const Name> names, const char* what) {
    const std::string text = name.string();
    for (const Name& entry : names)
        if (entry.name == text)
            return entry.value;
    name.fail(std::string("unknown ") + what + " \"" + text + "\"");
}

/// The action `key` of `parent` with the number of `errno_key`, which few actions take.
std::uint32_t read_action(const JsonCursor& parent, std::string_view key, std::string_view errno_key) {
    std::uint32_t action = 0;
    std::string text;
    parent.required(key, [&](const JsonCursor& name) {
        action = look_up(name, actions, "action");
        text = name.string();
    });
    const bool takes_number = action == SCMP_ACT_ERRNO(0) || action == SCMP_ACT_TRACE(0);
    std::uint32_t number = takes_number ? EPERM : 0;
    parent.optional(errno_key, [&](const JsonCursor& value) {
        if (!takes_number)
            value.fail("is for SCMP_ACT_ERRNO and SCMP_ACT_TRACE only, not for " + text);
        number = static_cast<std::uint32_t>(value.unsigned_integer(0xffff));
    });
    return action | number;
}

SeccompArgument read_argument(const JsonCursor& entry) {
    SeccompArgument argument;
    entry.required("index",
                   [&](const JsonCursor& index) { argument.index = static_cast<unsigned>(index.unsigned_integer(5)); });
    entry.required("value", [&](const JsonCursor& value) { argument.value = value.unsigned_integer(); });
    entry.optional("valueTwo", [&](const JsonCursor& value) { argument.value_two = value.unsigned_integer(); });
    entry.required("op", [&](const JsonCursor& operation) {
        argument.comparison = static_cast<int>(look_up(operation, comparisons, "comparison"));
    });
    return argument;
}

SeccompRule read_rule(const JsonCursor& entry) {
    SeccompRule rule;
    entry.required("names", [&](const JsonCursor& names) {
        rule.names = names.strings();
        if (rule.names.empty())
            names.fail("names no system call");
    });
    rule.action = read_action(entry, "action", "errnoRet");
    entry.optional("args", [&](const JsonCursor& arguments) {
        arguments.each([&](const JsonCursor& argument) { rule.arguments.push_back(read_argument(argument)); });
    });
    return rule;
}

void read_listener(const JsonCursor& seccomp, SeccompProfile& profile) {
    seccomp.optional("listenerPath", [&](const JsonCursor& path) {
        if (!path.string().empty())
            profile.listener_path = path.absolute_path();
    });
    seccomp.optional("listenerMetadata", [&](const JsonCursor& metadata) {
        profile.listener_metadata = metadata.string();
        if (profile.listener_path.empty() && !profile.listener_metadata.empty())
            metadata.fail("must not be given without listenerPath");
    });
    profile.notifies = profile.default_action == SCMP_ACT_NOTIFY;
    for (const SeccompRule& rule : profile.rules)
        profile.notifies |= rule.action == SCMP_ACT_NOTIFY;
    if (profile.notifies && profile.listener_path.empty())
        seccomp.fail("SCMP_ACT_NOTIFY needs \"listenerPath\": every call it is for would fail with ENOSYS");
    if (!profile.notifies)
        profile.listener_path.clear(); // "ignored"
    if (!profile.notifies && (profile.load_flags & wait_killable_flag) != 0)
        seccomp.fail("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is for SCMP_ACT_NOTIFY only");
}

/// What the filter depends on: the listener may be another one for every container.
std::string text_of_filter(json::object seccomp) {
    seccomp.erase("listenerPath");
    seccomp.erase("listenerMetadata");
    return json::serialize(seccomp);
}

} // namespace

SeccompProfile read_seccomp(const JsonCursor& seccomp) {
    SeccompProfile profile;
    profile.default_action = read_action(seccomp, "defaultAction", "defaultErrnoRet");
    seccomp.optional("architectures", [&](const JsonCursor& names) {
        names.each([&](const JsonCursor& name) {
            profile.architectures.push_back(look_up(name, architectures, "architecture"));
        });
    });
    seccomp.optional("flags", [&](const JsonCursor& flags) {
        flags.each([&](const JsonCursor& flag) { profile.load_flags |= look_up(flag, load_flags, "flag"); });
    });
    seccomp.optional("syscalls", [&](const JsonCursor& rules) {
        rules.each([&](const JsonCursor& rule) { profile.rules.push_back(read_rule(rule)); });
    });
    read_listener(seccomp, profile);
    profile.text = text_of_filter(seccomp.value().as_object());
    return profile;
}

std::vector<std::string> seccomp_actions() {
    return names_of(actions);
}
std::vector<std::string> seccomp_operators() {
    return names_of(comparisons);
}
std::vector<std::string> seccomp_architectures() {
    return names_of(architectures);
}
std::vector<std::string> seccomp_flags() {
    return names_of(load_flags);
}

} // namespace engine::runtime
