#include "runtime/seccomp.hpp"

#include <linux/seccomp.h>
#include <malloc.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/scope_exit.hpp"
#include "base/sha256.hpp"

namespace engine::runtime {

namespace {

void check_seccomp(int result, const std::string& operation) {
    if (result < 0)
        throw base::Error(-result, operation);
}

void add_rule(scmp_filter_ctx context, const SeccompProfile& profile, const SeccompRule& rule) {
    if (rule.action == profile.default_action)
        return; // libseccomp refuses what changes nothing
    std::vector<scmp_arg_cmp> arguments;
    for (const SeccompArgument& argument : rule.arguments)
        arguments.push_back(
            {argument.index, static_cast<scmp_compare>(argument.comparison), argument.value, argument.value_two});
    // Several comparisons of one argument are alternatives, as runc has it: libseccomp refuses them in one rule.
    unsigned seen = 0;
    bool alternatives = false;
    for (const SeccompArgument& argument : rule.arguments) {
        alternatives |= (seen & (1U << argument.index)) != 0;
        seen |= 1U << argument.index;
    }
    for (const std::string& name : rule.names) {
        const int call = seccomp_syscall_resolve_name(name.c_str());
        if (call == __NR_SCMP_ERROR)
            continue; // a profile names system calls of newer kernels too; unknown ones get the default action
        const auto add = [&](std::span<const scmp_arg_cmp> comparisons) {
            check_seccomp(seccomp_rule_add_array(context, rule.action, call, static_cast<unsigned>(comparisons.size()),
                                                 comparisons.data()),
                          "linux.seccomp: add rule for " + name);
        };
        if (!alternatives) {
            add(arguments);
            continue;
        }
        for (const scmp_arg_cmp& argument : arguments)
            add({&argument, 1});
    }
}

/// Ahead of the program in an entry.
struct CacheHeader {
    base::Sha256::Digest key;      ///< whose program it is
    base::Sha256::Digest checksum; ///< of key and program: against damage, not against an attacker
};

constexpr off_t largest_entry = sizeof(CacheHeader) + BPF_MAXINSNS * sizeof(sock_filter);

/// Of everything that the program depends on.
base::Sha256::Digest key_of(const SeccompProfile& profile) {
    const scmp_version* version = seccomp_version();
    base::Sha256 hash;
    hash.update(fmt::format("atoll filter 2, architecture {:08x}, libseccomp {}.{}.{}\n", seccomp_arch_native(),
                            version->major, version->minor, version->micro));
    hash.update(profile.text);
    return hash.finish();
}

std::string_view bytes_of(const base::Sha256::Digest& digest) {
    return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

base::Sha256::Digest checksum_of(const base::Sha256::Digest& key, std::string_view program) {
    base::Sha256 hash;
    hash.update(bytes_of(key));
    hash.update(program);
    return hash.finish();
}

std::optional<std::vector<sock_filter>> decode(std::string_view entry, const base::Sha256::Digest& key) {
    CacheHeader header{};
    if (entry.size() <= sizeof header)
        return std::nullopt;
    std::memcpy(&header, entry.data(), sizeof header);
    const std::string_view body = entry.substr(sizeof header);
    if (header.key != key || header.checksum != checksum_of(key, body) || body.size() % sizeof(sock_filter) != 0 ||
        body.size() / sizeof(sock_filter) > BPF_MAXINSNS)
        return std::nullopt;
    std::vector<sock_filter> program(body.size() / sizeof(sock_filter));
    std::memcpy(program.data(), body.data(), body.size());
    return program;
}

std::string encode(const std::vector<sock_filter>& program, const base::Sha256::Digest& key) {
    const std::string_view body{reinterpret_cast<const char*>(program.data()), program.size() * sizeof(sock_filter)};
    std::string entry(bytes_of(key));
    return entry.append(bytes_of(checksum_of(key, body))).append(body);
}

/// The cache's directory, or an empty one when it is not ours alone.
base::UniqueFd open_directory(const std::string& path) {
    if (mkdir(path.c_str(), 0700) < 0 && errno != EEXIST)
        return {};
    base::UniqueFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!directory || fstat(directory.get(), &status) < 0 || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
        return {};
    return directory;
}

extern "C" const char __executable_start, etext; // set by the linker: where the program's code is

/// What only start-up needed of our own code need not count while libseccomp builds its tree: the pages are the page
/// cache's, and come back when they are touched.
void give_code_pages_back() {
    const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(&__executable_start) + page - 1) / page * page;
    const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(&etext) / page * page;
    if (begin < end) // a hint: without it there is only more memory in use for some milliseconds
        madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

/// A cache that cannot be written is only slow: errors are not reported.
void store(int directory, const std::string& name, const std::string& entry) {
    const std::string temporary = name + "." + std::to_string(getpid());
    const base::UniqueFd file(openat(directory, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file)
        return;
    if (write(file.get(), entry.data(), entry.size()) != static_cast<ssize_t>(entry.size()) ||
        renameat(directory, temporary.c_str(), directory, name.c_str()) < 0)
        unlinkat(directory, temporary.c_str(), 0);
}

} // namespace

SeccompFilter compile_filter(const SeccompProfile& profile) {
    scmp_filter_ctx context = seccomp_init(profile.default_action);
    if (context == nullptr)
        throw base::Error("linux.seccomp: libseccomp refuses the default action");
    const base::ScopeExit release([&] { seccomp_release(context); });
    for (const std::uint32_t architecture : profile.architectures) {
        const int result = seccomp_arch_add(context, architecture);
        if (result != -EEXIST)
            check_seccomp(result, "linux.seccomp: add architecture");
    }
    // System calls of an architecture that is not in the filter kill: fail closed.
    check_seccomp(seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
                  "linux.seccomp: set action for foreign architectures");
    if (profile.rules.size() > 8) // a binary tree: fewer instructions a system call when there are many rules
        check_seccomp(seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2), "linux.seccomp: optimise");
    for (const SeccompRule& rule : profile.rules)
        add_rule(context, profile, rule);

    const base::UniqueFd memory(base::check(memfd_create("seccomp", MFD_CLOEXEC), "memfd_create"));
    check_seccomp(seccomp_export_bpf(context, memory.get()), "linux.seccomp: export filter");
    const off_t size = base::check(lseek(memory.get(), 0, SEEK_END), "lseek of the seccomp filter");
    SeccompFilter filter;
    filter.load_flags = profile.load_flags;
    filter.program.resize(static_cast<std::size_t>(size) / sizeof(sock_filter));
    if (filter.program.empty() || filter.program.size() > BPF_MAXINSNS)
        throw base::Error("linux.seccomp: the filter has " + std::to_string(filter.program.size()) +
                          " instructions; the kernel takes 1 to 4096");
    if (pread(memory.get(), filter.program.data(), static_cast<std::size_t>(size), 0) != size)
        throw base::Error("linux.seccomp: reading the filter back fails");
    return filter;
}

SeccompFilter FilterCache::get(const SeccompProfile& profile) const {
    const base::UniqueFd directory = open_directory(directory_);
    if (!directory)
        return compile_filter(profile);
    const base::Sha256::Digest key = key_of(profile);
    const std::string name = base::to_hex(key) + ".bpf";
    const base::UniqueFd file(openat(directory.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (file && fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
        status.st_size <= largest_entry) {
        std::string entry(static_cast<std::size_t>(status.st_size), '\0');
        if (read(file.get(), entry.data(), entry.size()) == status.st_size)
            if (std::optional<std::vector<sock_filter>> program = decode(entry, key))
                return {std::move(*program), profile.load_flags};
    }
    give_code_pages_back();
    SeccompFilter filter = compile_filter(profile);
    malloc_trim(0); // libseccomp's tree is gone; what follows needs the code pages again
    store(directory.get(), name, encode(filter.program, key));
    return filter;
}

} // namespace engine::runtime
