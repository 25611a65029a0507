// Kernel arguments of a deployment. The image ships some (`kernel_arguments` of image.yaml), the host may change them,
// and an update brings the next image's: merged three ways as /etc is. Nothing is remembered beside the boot entry
// itself: what the host changed is what its entry has and the image it was made from has not.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace updater {

/// One change of the host's: "append", "delete" or "replace".
struct ArgumentChange {
    enum class Kind { append, remove, replace };
    Kind kind = Kind::append;
    /// append: "NAME" or "NAME=VALUE". remove: the same; "NAME" alone also takes the only "NAME=VALUE". replace:
    /// "NAME=VALUE" for the only one of that name, or "NAME=OLD=NEW".
    std::string argument;
    bool operator==(const ArgumentChange&) const = default;
};

std::string_view to_string(ArgumentChange::Kind kind) noexcept;
std::optional<ArgumentChange::Kind> argument_change_kind(std::string_view text) noexcept;

/// The words of a kernel command line or a boot entry's `options`.
std::vector<std::string> split_arguments(std::string_view options);
/// "console" of "console=ttyS0".
std::string_view argument_name(std::string_view argument) noexcept;
/// Arguments that are libostree's, the boot loader's or the updater's: `ostree`, `atoll.rev`, `BOOT_IMAGE`, `initrd`.
bool is_reserved_argument(std::string_view argument) noexcept;

/// Throws base::Error when a change cannot be in a boot entry (GRUB syntax, white space, a reserved name, `root`).
void require_valid_change(const ArgumentChange& change);
/// The arguments with the changes made in order. `strict`: throws base::Error when something to be deleted or replaced
/// is not there or not clear; otherwise that change is left out (an update may have taken the argument away meanwhile).
std::vector<std::string> change_arguments(std::vector<std::string> arguments,
                                          const std::vector<ArgumentChange>& changes, bool strict);

/// Throws base::Error when they are longer than what the kernel reads beside what GRUB and libostree add.
void require_fitting_arguments(const std::vector<std::string>& arguments);

struct MergedArguments {
    std::vector<std::string> arguments;
    std::vector<std::string> conflicts; ///< names that host and image changed differently; the host's were kept
};

/// `before`: of the image that runs; `here`: of its boot entry; `after`: of the next image. Reserved ones are left out.
MergedArguments merge_arguments(const std::vector<std::string>& before, const std::vector<std::string>& here,
                                const std::vector<std::string>& after);

} // namespace updater
