// How the rig runs commands inside a machine: text lines over the second serial port, spoken by `guest-shell` inside
// and ShellClient outside.
//
//   guest  ready BOOT SHELL                every 100 ms while idle; BOOT is the kernel's boot id, SHELL this process's
//   host   run ID TIMEOUT-MS COMMAND INPUT  COMMAND for `busybox sh -c`, INPUT for its standard input
//   guest  out ID TEXT, err ID TEXT        parts of standard output and standard error
//   guest  end ID CODE                     the shell's exit code, or
//   guest  fail ID TEXT                    why it could not be run (or took too long)
//
// COMMAND, INPUT and TEXT are base64, "-" when empty. A line that is none of these is skipped: firmware and GRUB write
// to the port too. The host sends nothing before it has seen a `ready`: OVMF and GRUB would take it for key presses.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qemu {

inline constexpr std::size_t shell_line_limit = 1024UL * 1024;
inline constexpr std::size_t shell_chunk = 3 * 1024; ///< bytes of text a line

/// Cuts a byte stream into lines; over-long ones are dropped.
class LineBuffer {
public:
    void append(std::string_view bytes);
    /// The next whole line without its end and carriage returns.
    std::optional<std::string> next();

private:
    std::string bytes_;
    bool dropping_ = false;
};

/// The words of a line, separated by single spaces.
std::vector<std::string> shell_words(std::string_view line);
/// base64, "-" for nothing.
std::string shell_encode(std::string_view text);
/// Throws base::Error.
std::string shell_decode(std::string_view word);

} // namespace qemu
