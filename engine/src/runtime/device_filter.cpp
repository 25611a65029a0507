#include "runtime/device_filter.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace engine::runtime {

namespace {

// The program's input, struct bpf_cgroup_dev_ctx: access_type (access << 16 | device type), major, minor.
// Registers: r1 the input, r2 type, r3 access, r4 major, r5 minor.
enum : std::uint8_t { r0 = BPF_REG_0, r1 = BPF_REG_1, r2 = BPF_REG_2, r3 = BPF_REG_3, r4 = BPF_REG_4, r5 = BPF_REG_5 };

bpf_insn instruction(int code, std::uint8_t destination, std::uint8_t source, std::int16_t offset, std::int32_t value) {
    bpf_insn result{};
    result.code = static_cast<std::uint8_t>(code);
    result.dst_reg = static_cast<std::uint8_t>(destination & 0xfU);
    result.src_reg = static_cast<std::uint8_t>(source & 0xfU);
    result.off = offset;
    result.imm = value;
    return result;
}

bpf_insn load_word(std::uint8_t destination, std::int16_t offset) {
    return instruction(BPF_LDX | BPF_MEM | BPF_W, destination, r1, offset, 0);
}

/// push_back of this bit-field struct makes GCC 12 warn of an overflow that is none.
void append(std::vector<bpf_insn>& program, const bpf_insn& one) {
    program.insert(program.end(), &one, &one + 1);
}

void append_rule(std::vector<bpf_insn>& program, const DeviceRule& rule) {
    std::vector<bpf_insn> tests; // each jumps past the rule when it does not match; offsets are filled in below
    if (rule.type != 'a')
        append(tests, instruction(BPF_JMP | BPF_JNE | BPF_K, r2, 0, 0,
                                  rule.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR));
    constexpr unsigned everything = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;
    if (rule.access != everything) {
        // An allowing rule must cover all that is asked for; a denying one matches when it covers any of it.
        const unsigned mask = rule.allow ? ~rule.access & everything : rule.access;
        append(tests, instruction(BPF_ALU64 | BPF_MOV | BPF_X, r0, r3, 0, 0));
        append(tests, instruction(BPF_ALU64 | BPF_AND | BPF_K, r0, 0, 0, static_cast<std::int32_t>(mask)));
        append(tests, instruction(rule.allow ? BPF_JMP | BPF_JNE | BPF_K : BPF_JMP | BPF_JEQ | BPF_K, r0, 0, 0, 0));
    }
    // 32-bit compares: a number above 2^31 must not be sign-extended.
    if (rule.major)
        append(tests, instruction(BPF_JMP32 | BPF_JNE | BPF_K, r4, 0, 0, static_cast<std::int32_t>(*rule.major)));
    if (rule.minor)
        append(tests, instruction(BPF_JMP32 | BPF_JNE | BPF_K, r5, 0, 0, static_cast<std::int32_t>(*rule.minor)));
    for (std::size_t index = 0; index < tests.size(); ++index) {
        const int operation = BPF_CLASS(tests[index].code);
        if (operation == BPF_JMP || operation == BPF_JMP32)
            tests[index].off = static_cast<std::int16_t>(tests.size() - index - 1 + 2);
    }
    program.insert(program.end(), tests.begin(), tests.end());
    append(program, instruction(BPF_ALU64 | BPF_MOV | BPF_K, r0, 0, 0, rule.allow ? 1 : 0));
    append(program, instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
}

constexpr unsigned all_access = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;
constexpr struct {
    char type;
    int major, minor; ///< -1: every one
    unsigned access;
} promised[] = {
    {'c', 1, 3, all_access},
    {'c', 1, 5, all_access},
    {'c', 1, 7, all_access},
    {'c', 1, 8, all_access},
    {'c', 1, 9, all_access},
    {'c', 5, 0, all_access},
    {'c', 5, 2, all_access},
    {'c', 136, -1, all_access},
    // Making a node, as the runtime itself does from inside the group, is no access yet.
    {'c', -1, -1, BPF_DEVCG_ACC_MKNOD},
    {'b', -1, -1, BPF_DEVCG_ACC_MKNOD},
};

int bpf(int command, bpf_attr& attributes) {
    return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

base::UniqueFd load(const std::vector<bpf_insn>& program) {
    static const char license[] = "Apache-2.0";
    bpf_attr attributes{};
    attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attributes.insns = reinterpret_cast<std::uintptr_t>(program.data());
    attributes.insn_cnt = static_cast<std::uint32_t>(program.size());
    attributes.license = reinterpret_cast<std::uintptr_t>(license);
    base::UniqueFd fd(bpf(BPF_PROG_LOAD, attributes));
    if (!fd)
        base::throw_errno("linux.resources.devices: load the device filter into the kernel");
    return fd;
}

void attach(int cgroup_fd, int program_fd) {
    bpf_attr attributes{};
    attributes.target_fd = static_cast<std::uint32_t>(cgroup_fd);
    attributes.attach_bpf_fd = static_cast<std::uint32_t>(program_fd);
    attributes.attach_type = BPF_CGROUP_DEVICE;
    attributes.attach_flags = BPF_F_ALLOW_MULTI;
    if (bpf(BPF_PROG_ATTACH, attributes) < 0)
        base::throw_errno("linux.resources.devices: attach the device filter to the cgroup");
}

} // namespace

std::vector<bpf_insn> device_program(const std::vector<DeviceRule>& rules) {
    std::vector<bpf_insn> program;
    program.reserve(64);
    append(program, load_word(r2, offsetof(bpf_cgroup_dev_ctx, access_type)));
    append(program, instruction(BPF_ALU64 | BPF_MOV | BPF_X, r3, r2, 0, 0));
    append(program, instruction(BPF_ALU64 | BPF_AND | BPF_K, r2, 0, 0, 0xffff));
    append(program, instruction(BPF_ALU64 | BPF_RSH | BPF_K, r3, 0, 0, 16));
    append(program, load_word(r4, offsetof(bpf_cgroup_dev_ctx, major)));
    append(program, load_word(r5, offsetof(bpf_cgroup_dev_ctx, minor)));
    for (const auto& device : promised) {
        DeviceRule rule{true, device.type, std::nullopt, std::nullopt, device.access};
        if (device.major >= 0)
            rule.major = static_cast<std::uint32_t>(device.major);
        if (device.minor >= 0)
            rule.minor = static_cast<std::uint32_t>(device.minor);
        append_rule(program, rule);
    }
    // First match wins in the program, the last in the specification. What follows a rule that matches everything
    // could never run, and the kernel refuses programs with such instructions.
    bool complete = false;
    for (auto rule = rules.rbegin(); rule != rules.rend() && !complete; ++rule) {
        append_rule(program, *rule);
        complete = rule->type == 'a' && rule->access == all_access && !rule->major && !rule->minor;
    }
    if (!complete) {
        append(program, instruction(BPF_ALU64 | BPF_MOV | BPF_K, r0, 0, 0, 0));
        append(program, instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
    }
    return program;
}

void attach_device_program(int cgroup_fd, const std::vector<bpf_insn>& program) {
    attach(cgroup_fd, load(program).get());
}

void replace_device_program(int cgroup_fd, const std::vector<bpf_insn>& program) {
    const base::UniqueFd loaded = load(program);
    std::uint32_t ids[64];
    bpf_attr query{};
    query.query.target_fd = static_cast<std::uint32_t>(cgroup_fd);
    query.query.attach_type = BPF_CGROUP_DEVICE;
    query.query.prog_ids = reinterpret_cast<std::uintptr_t>(ids);
    query.query.prog_cnt = std::size(ids);
    if (bpf(BPF_PROG_QUERY, query) < 0)
        base::throw_errno("linux.resources.devices: list the cgroup's device filters");
    // The new one first: programs are all asked, so access is never wider in between.
    attach(cgroup_fd, loaded.get());
    for (std::uint32_t index = 0; index < query.query.prog_cnt; ++index) {
        bpf_attr open{};
        open.prog_id = ids[index];
        const base::UniqueFd old(bpf(BPF_PROG_GET_FD_BY_ID, open));
        bpf_attr detach{};
        detach.target_fd = static_cast<std::uint32_t>(cgroup_fd);
        detach.attach_bpf_fd = static_cast<std::uint32_t>(old.get());
        detach.attach_type = BPF_CGROUP_DEVICE;
        if (!old || bpf(BPF_PROG_DETACH, detach) < 0)
            base::throw_errno("linux.resources.devices: detach the cgroup's old device filter");
    }
}

} // namespace engine::runtime
