// A machine's disk while the machine is off: looked at and damaged with debugfs(8), partition by partition.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/grub_env.hpp"
#include "base/process.hpp"

namespace vm_test {

class OfflineDisk {
public:
    enum Partition : unsigned { esp = 2, boot = 3, root = 4 };

    /// A sparse raw image.
    explicit OfflineDisk(std::string path) : path_(std::move(path)) {}
    const std::string& path() const noexcept { return path_; }

    /// What debugfs prints. Its exit code says nothing: what it cannot do is on standard error, after its own name.
    std::string debugfs(Partition partition, const std::string& command, bool write = false) const {
        std::vector<std::string> argv = {"debugfs"};
        if (write)
            argv.emplace_back("-w");
        argv.insert(argv.end(), {"-R", command, fmt::format("{}?offset={}", path_, offset(partition))});
        const base::RunResult run = base::run(argv);
        const std::string errors = run.errors.substr(std::min(run.errors.find('\n') + 1, run.errors.size()));
        if (!run.status.success() || !errors.empty())
            throw base::Error(fmt::format("debugfs {}: {}", command, run.errors));
        return run.output;
    }
    void change(Partition partition, const std::string& command) const { debugfs(partition, command, true); }

    /// Names in a directory that begin with `prefix`.
    std::vector<std::string> names(Partition partition, const std::string& directory, const std::string& prefix) const {
        // "/inode/mode/uid/gid/name/size/"
        std::vector<std::string> found;
        std::string list = debugfs(partition, "ls -p " + directory);
        for (std::size_t start = 0; start < list.size();) {
            const std::size_t end = std::min(list.find('\n', start), list.size());
            std::string line = list.substr(start, end - start);
            start = end + 1;
            for (int field = 0; field < 5; ++field)
                line.erase(0, std::min(line.find('/') + 1, line.size()));
            const std::string name = line.substr(0, line.find('/'));
            if (name.starts_with(prefix) && name != "." && name != "..")
                found.push_back(name);
        }
        return found;
    }
    std::string read(Partition partition, const std::string& file) const { return debugfs(partition, "cat " + file); }
    /// Another file with this content under the name.
    void replace(Partition partition, const std::string& file, const std::string& content) const {
        const base::TempDir directory("replace");
        base::write_durable(directory / "content", content);
        change(partition, "rm " + file);
        change(partition, fmt::format("write {} {}", directory / "content", file));
    }
    base::GrubEnv grub_env() const { return base::GrubEnv::parse(read(boot, "/grub/grubenv")); }
    void set_grub_env(const base::GrubEnv& env) const { replace(boot, "/grub/grubenv", env.serialize()); }

    /// As a power cut leaves ext4's superblock that came between its two sectors: a new time in the first, the old
    /// checksum in the second.
    void tear_superblock(Partition partition) const {
        constexpr off_t time_of_mount = 1024 + 0x2c;
        const base::UniqueFd file = base::open_file(path_, O_RDWR);
        const off_t at = static_cast<off_t>(offset(partition)) + time_of_mount;
        std::uint32_t seconds = 0;
        if (::pread(file.get(), &seconds, sizeof seconds, at) != static_cast<ssize_t>(sizeof seconds))
            throw base::Error(path_ + ": the superblock cannot be read");
        ++seconds;
        base::write_all_at(file.get(), {reinterpret_cast<const char*>(&seconds), sizeof seconds}, at, path_);
    }

    /// The disk's sector of a file's block number `block` (of 4 KiB).
    std::uint64_t sector_of(Partition partition, const std::string& file, std::uint64_t block) const {
        const std::string answer = debugfs(partition, fmt::format("bmap {} {}", file, block));
        const std::uint64_t number = std::stoull(answer);
        if (number == 0)
            throw base::Error(fmt::format("{} has no block {}", file, block));
        return (offset(partition) + number * 4096) / 512;
    }

    /// In bytes; from the GPT's entry (UEFI specification 2.10, section 5.3.3).
    std::uint64_t offset(Partition partition) const {
        const base::UniqueFd file = base::open_file(path_, O_RDONLY);
        std::uint64_t first = 0;
        constexpr off_t entries = 2 * 512;
        const off_t at = entries + static_cast<off_t>(partition - 1) * 128 + 32;
        if (::pread(file.get(), &first, sizeof first, at) != static_cast<ssize_t>(sizeof first) || first == 0)
            throw base::Error(fmt::format("{}: no partition {}", path_, static_cast<unsigned>(partition)));
        return first * 512;
    }

private:
    std::string path_;
};

} // namespace vm_test
