// Text that ends up in a boot entry. Our grub.cfg sources the entries, so that GRUB's shell sees every value: a
// semicolon or a dollar sign in one would be a command. Only a fixed set of characters passes; the rest is refused
// before anything is written.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace updater {

/// True when every character is a letter, a digit, a space, or one of "-_.,:/=+@%()~[]".
bool is_safe_boot_text(std::string_view text) noexcept;
/// Throws base::Error naming `what` and the offending character.
void require_safe_boot_text(std::string_view text, const std::string& what);

/// The kernel arguments of the next deployment: those of the last one without its `ostree=`, `BOOT_IMAGE=`, `initrd=`
/// and `atoll.rev=`, and with the new `atoll.rev=`. Throws base::Error on an unsafe one.
std::vector<std::string> next_kernel_arguments(std::string_view options, std::string_view revision);

/// 16 hexadecimal digits from the kernel's random numbers.
std::string draw_revision();
bool is_revision(std::string_view text) noexcept;

/// Value of `key` in os-release(5) text, unquoted; empty when missing.
std::string os_release_value(std::string_view text, std::string_view key);

/// The values of an os-release(5) that libostree makes an entry's title of. Throws base::Error on an unsafe one.
void require_safe_os_release(std::string_view text, const std::string& what);

/// Printable ASCII of somebody else's text: other bytes become '?', at most `limit` of them.
std::string plain_text(std::string_view text, std::size_t limit);

/// Negative, 0 or positive: order of version names such as "1.10.2" and "1.9", numbers compared as numbers.
int compare_versions(std::string_view left, std::string_view right) noexcept;

} // namespace updater
