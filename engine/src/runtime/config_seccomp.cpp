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

constexpr Name load_flags[] = {
    {"SECCOMP_FILTER_FLAG_TSYNC", 0}, // the process has one thread
    {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
};

std::uint32_t look_up(const JsonCursor& name, std::span<const Name> names, const char* what) {
    const std::string text = name.string();
    for (const Name& entry : names)
        if (entry.name == text)
            return entry.value;
    name.fail(std::string("unknown ") + what + " \"" + text + "\"");
}

std::uint32_t read_action(const JsonCursor& name, std::uint32_t errno_return) {
    const std::string action = name.string();
    if (action == "SCMP_ACT_KILL" || action == "SCMP_ACT_KILL_THREAD")
        return SCMP_ACT_KILL_THREAD;
    if (action == "SCMP_ACT_KILL_PROCESS")
        return SCMP_ACT_KILL_PROCESS;
    if (action == "SCMP_ACT_TRAP")
        return SCMP_ACT_TRAP;
    if (action == "SCMP_ACT_ERRNO")
        return SCMP_ACT_ERRNO(errno_return);
    if (action == "SCMP_ACT_TRACE")
        return SCMP_ACT_TRACE(errno_return);
    if (action == "SCMP_ACT_ALLOW")
        return SCMP_ACT_ALLOW;
    if (action == "SCMP_ACT_LOG")
        return SCMP_ACT_LOG;
    if (action == "SCMP_ACT_NOTIFY")
        name.fail("not supported: SCMP_ACT_NOTIFY (no listener is handed out)");
    name.fail("unknown action \"" + action + "\"");
}

std::uint32_t read_errno(const JsonCursor& parent, std::string_view key) {
    std::uint32_t number = EPERM;
    parent.optional(
        key, [&](const JsonCursor& value) { number = static_cast<std::uint32_t>(value.unsigned_integer(0xffff)); });
    return number;
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
    const std::uint32_t errno_return = read_errno(entry, "errnoRet");
    entry.required("action", [&](const JsonCursor& action) { rule.action = read_action(action, errno_return); });
    entry.optional("args", [&](const JsonCursor& arguments) {
        arguments.each([&](const JsonCursor& argument) { rule.arguments.push_back(read_argument(argument)); });
    });
    return rule;
}

} // namespace

SeccompProfile read_seccomp(const JsonCursor& seccomp) {
    SeccompProfile profile;
    const std::uint32_t errno_return = read_errno(seccomp, "defaultErrnoRet");
    seccomp.required("defaultAction",
                     [&](const JsonCursor& action) { profile.default_action = read_action(action, errno_return); });
    seccomp.optional("architectures", [&](const JsonCursor& names) {
        names.each([&](const JsonCursor& name) {
            profile.architectures.push_back(look_up(name, architectures, "architecture"));
        });
    });
    seccomp.optional("flags", [&](const JsonCursor& flags) {
        flags.each([&](const JsonCursor& flag) {
            if (flag.string() == "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")
                flag.fail("not supported: SCMP_ACT_NOTIFY (no listener is handed out)");
            profile.load_flags |= look_up(flag, load_flags, "flag");
        });
    });
    seccomp.optional("listenerPath", [](const JsonCursor& path) {
        if (!path.string().empty())
            path.fail("not supported: SCMP_ACT_NOTIFY (no listener is handed out)");
    });
    seccomp.optional("syscalls", [&](const JsonCursor& rules) {
        rules.each([&](const JsonCursor& rule) { profile.rules.push_back(read_rule(rule)); });
    });
    profile.text = json::serialize(seccomp.value());
    return profile;
}

} // namespace engine::runtime
