// What an image is made of: its YAML, read strictly. DESIGN.md has the keys.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace image {

/// A file, directory or symlink put into the tree over what the packages brought; a later one replaces an earlier one.
struct FileRule {
    enum class Kind {
        copy,    ///< `source`: a file or a whole directory beside the YAML
        program, ///< `source`: a name in --bin-dir
        text,    ///< `source`: the content itself
        symlink, ///< `source`: where it points
    };
    Kind kind = Kind::copy;
    std::string source;
    std::string target;         ///< clean path in the tree
    std::optional<mode_t> mode; ///< default: 0644; 0755 for programs and sources that are executable
};

/// Many symlinks in one directory to one target: busybox's applets.
struct LinkRule {
    std::string target;
    std::string directory;
    std::vector<std::string> names;
};

/// An empty library that satisfies the linker: DESIGN.md says why there is one.
struct StubLibrary {
    std::string name; ///< its soname
    std::vector<std::string> symbols;
};

/// The part that the cached base tree is a function of, together with the lock.
struct BaseSpec {
    std::string lock_path;
    std::vector<std::string> packages; ///< asked for by name; their dependencies come with them
    std::vector<std::string> without;  ///< dependencies left out, with what only they need
    std::vector<std::string> drop;     ///< path rules
    std::vector<std::string> keep;     ///< exceptions from `drop`
    std::vector<StubLibrary> stubs;
    std::vector<std::string> modules;           ///< kernel modules kept, with what they need
    std::vector<std::string> loaded_modules;    ///< also loaded by init in stage 2, in this order
    std::vector<std::string> initramfs_modules; ///< loaded in stage 1, in this order
};

/// A container image packed as a docker-archive.
struct ContainerSpec {
    std::string name;   ///< NAME:TAG
    std::string output; ///< clean path in the OS tree; empty for `mkimage container`
    BaseSpec base;      ///< packages of `mkimage container`
    std::optional<std::int64_t> timestamp;
    std::vector<FileRule> files;
    std::vector<LinkRule> links;
    std::vector<std::string> command;
    std::vector<std::string> environment;
};

struct DiskSpec {
    std::uint64_t size = 8ULL << 30;
    std::uint64_t esp_size = 32ULL << 20;
    std::uint64_t boot_size = 256ULL << 20;
    std::string boot_files; ///< directory with grub.cfg
    std::string boot_mark;  ///< a line in front of grub.cfg
};

struct ImageSpec {
    std::string name;
    std::string version;
    std::string ref;
    std::optional<std::int64_t> timestamp;
    BaseSpec base;
    std::vector<std::string> programs; ///< from --bin-dir to /usr/bin
    std::vector<FileRule> files;
    std::vector<LinkRule> links;
    std::vector<std::string> remove; ///< paths taken out at the end
    std::vector<ContainerSpec> containers;
    std::vector<std::string> kernel_arguments;
    std::vector<std::string> trusted_keys; ///< files with base64 public keys
    DiskSpec disk;
};

/// Reads an image YAML and what it extends. Throws base::ConfigError with "file:line:column: key: problem".
ImageSpec load_image_spec(const std::string& path);
/// Reads a container YAML.
ContainerSpec load_container_spec(const std::string& path);

/// Whether the value can stand in a boot entry, which GRUB sources as a script.
bool is_safe_for_grub(const std::string& value) noexcept;
/// Letters, digits and ".-+_~", not empty.
bool is_safe_version(const std::string& version) noexcept;

} // namespace image
