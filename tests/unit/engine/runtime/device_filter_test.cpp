#include "runtime/device_filter.hpp"

#include <boost/test/unit_test.hpp>

using engine::runtime::device_program;
using engine::runtime::DeviceRule;

namespace {

constexpr unsigned m = BPF_DEVCG_ACC_MKNOD, r = BPF_DEVCG_ACC_READ, w = BPF_DEVCG_ACC_WRITE;

/// Runs the program as the kernel would: the instructions we emit, and a failure for any other.
bool allows(const std::vector<bpf_insn>& program, char type, unsigned major, unsigned minor, unsigned access) {
    const std::uint32_t input[3] = {access << 16U | unsigned(type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
                                    major, minor};
    std::uint64_t registers[11]{};
    for (std::size_t at = 0; at < program.size(); ++at) {
        const bpf_insn& one = program[at];
        std::uint64_t& target = registers[one.dst_reg];
        const auto value = static_cast<std::uint64_t>(static_cast<std::int64_t>(one.imm));
        switch (one.code) {
        case BPF_LDX | BPF_MEM | BPF_W:
            BOOST_REQUIRE(one.src_reg == BPF_REG_1);
            target = input[one.off / 4];
            break;
        case BPF_ALU64 | BPF_MOV | BPF_X:
            target = registers[one.src_reg];
            break;
        case BPF_ALU64 | BPF_MOV | BPF_K:
            target = value;
            break;
        case BPF_ALU64 | BPF_AND | BPF_K:
            target &= value;
            break;
        case BPF_ALU64 | BPF_RSH | BPF_K:
            target >>= value;
            break;
        case BPF_JMP | BPF_JNE | BPF_K:
            at += target != value ? static_cast<std::size_t>(one.off) : 0;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            at += target == value ? static_cast<std::size_t>(one.off) : 0;
            break;
        case BPF_JMP32 | BPF_JNE | BPF_K:
            at += static_cast<std::uint32_t>(target) != static_cast<std::uint32_t>(one.imm)
                      ? static_cast<std::size_t>(one.off)
                      : 0;
            break;
        case BPF_JMP | BPF_EXIT:
            return registers[0] != 0;
        default:
            BOOST_FAIL("unexpected instruction " << int(one.code));
        }
    }
    BOOST_FAIL("the program does not end");
    return false;
}

DeviceRule rule(bool allow, char type, std::optional<unsigned> major, std::optional<unsigned> minor, unsigned access) {
    return {allow, type, major, minor, access};
}

} // namespace

BOOST_AUTO_TEST_SUITE(device_filter)

BOOST_AUTO_TEST_CASE(without_rules_only_the_promised_devices) {
    const auto program = device_program({});
    BOOST_TEST(allows(program, 'c', 1, 3, r | w));
    BOOST_TEST(allows(program, 'c', 136, 77, r | w));
    BOOST_TEST(!allows(program, 'b', 1, 3, r));
    BOOST_TEST(!allows(program, 'c', 1, 1, r)); // /dev/mem
    BOOST_TEST(!allows(program, 'b', 8, 0, r));
}

BOOST_AUTO_TEST_CASE(the_last_matching_rule_decides) {
    const auto program = device_program({rule(false, 'a', {}, {}, r | w | m), rule(true, 'c', 10, 229, r | w),
                                         rule(true, 'b', 8, {}, r), rule(false, 'b', 8, 1, r)});
    BOOST_TEST(allows(program, 'c', 10, 229, r | w));
    BOOST_TEST(allows(program, 'c', 10, 229, r));
    BOOST_TEST(!allows(program, 'c', 10, 229, r | w | m)); // not all of it is allowed
    BOOST_TEST(!allows(program, 'c', 10, 228, r));
    BOOST_TEST(allows(program, 'b', 8, 0, r));
    BOOST_TEST(!allows(program, 'b', 8, 1, r));
    BOOST_TEST(!allows(program, 'b', 8, 0, w));
}

BOOST_AUTO_TEST_CASE(a_denial_of_part_denies_the_whole) {
    const auto program = device_program({rule(true, 'a', {}, {}, r | w | m), rule(false, 'c', 5, 77, w)});
    BOOST_TEST(allows(program, 'c', 5, 77, r));
    BOOST_TEST(!allows(program, 'c', 5, 77, r | w));
    BOOST_TEST(allows(program, 'b', 5, 77, w));
}

BOOST_AUTO_TEST_CASE(large_numbers_are_compared_unsigned) {
    const auto program = device_program({rule(true, 'c', 0xfffffff0U, 0x80000000U, r)});
    BOOST_TEST(allows(program, 'c', 0xfffffff0U, 0x80000000U, r));
    BOOST_TEST(!allows(program, 'c', 0xfffffff0U, 0, r));
}

BOOST_AUTO_TEST_CASE(nothing_follows_a_rule_for_everything) {
    // The kernel refuses programs with instructions that cannot be reached.
    const auto short_program = device_program({rule(false, 'a', {}, {}, r | w | m)});
    const auto long_program =
        device_program({rule(true, 'c', 10, 229, r), rule(true, 'b', 8, 0, r), rule(false, 'a', {}, {}, r | w | m)});
    BOOST_TEST(short_program.size() == long_program.size());
}

BOOST_AUTO_TEST_SUITE_END()
