// A virtual machine: made, booted, looked at, broken and thrown away by tests and by qemu/up.
//
//   qemu::MachineOptions options;
//   options.directory = "out/vm/one";                 // overlay, firmware variables, sockets and logs live there
//   options.disk = "out/images/v1/atoll.qcow2";       // never written
//   options.config_drive = {{"host.yaml", text}};
//   qemu::Machine machine(options);
//   machine.start();
//   machine.wait_shell(qemu::Seconds(180));
//   machine.run_checked("updatectl status");
//   machine.power_cut(); machine.start();             // same disk, as after a black-out
//
// QEMU by TCG only: what the tests measure must not depend on the host having KVM. Every wait has a deadline and throws
// base::Error with the end of the console.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/process.hpp"
#include "qemu/console_log.hpp"
#include "qemu/qmp.hpp"
#include "qemu/shell_client.hpp"

namespace qemu {

enum class Firmware { bios, uefi };

struct MachineOptions {
    std::string name = "atoll";
    std::string directory; ///< made when missing; what is in it is taken over
    std::string disk;      ///< base image, raw or qcow2; empty: no disk
    Firmware firmware = Firmware::uefi;
    unsigned cpus = 2;
    unsigned memory_mib = 1024;
    std::uint64_t disk_size = 0; ///< bytes of the overlay when larger than the base image
    /// File in `directory` that gets every write of the disk since the last start (QEMU's blklogwrites); empty: none.
    std::string write_log;
    /// Sectors of the disk (of 512 bytes) that fail whenever they are read or written, as on a worn-out one.
    struct DiskError {
        std::uint64_t sector = 0;
        bool on_write = false;
    };
    std::vector<DiskError> disk_errors;
    /// Files of the config drive by name; empty: no drive. Made anew by every `create`.
    std::map<std::string, std::string> config_drive;
    /// Ports of the guest that get a free port on the host's loopback.
    std::vector<std::uint16_t> forward = {2376, 4001, 7};
    /// Boots this kernel directly, without firmware and GRUB.
    std::string kernel;
    std::string initrd;
    std::string append;
    /// More network cards: each is asked at every start for its end of a cable (Switch::plug).
    struct Card {
        std::string mac; ///< "52:54:00:00:01:02"
        std::function<base::UniqueFd()> plug;
    };
    std::vector<Card> cards;
    bool die_with_parent = true; ///< SIGKILL for QEMU when the thread that started it ends
};

/// A TCP port of 127.0.0.1 that is QEMU's for as long as this lives, also while QEMU does not run: the kernel gives the
/// port of a bound socket to nobody who asks for any port, and to QEMU, which asks for this one with SO_REUSEADDR.
class ReservedPort {
public:
    ReservedPort(); ///< throws base::Error
    std::uint16_t number() const noexcept { return number_; }

private:
    base::UniqueFd socket_;
    std::uint16_t number_ = 0;
};

class Machine {
public:
    explicit Machine(MachineOptions options);
    ~Machine(); ///< cuts the power when it runs
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    /// Throws the disk's writes, the firmware's variables and the logs away: a machine fresh from the image.
    void create();
    /// Powers on. The overlay is made when there is none. Throws base::Error with what QEMU said.
    void start();
    bool running();
    /// Readable when QEMU has ended, for poll(2); -1 when it was never started.
    int ended_fd() const noexcept { return qemu_ ? qemu_.pidfd() : -1; }

    // The console.
    void wait_console(const std::string& text, Seconds limit);
    std::size_t wait_console_any(const std::vector<std::string>& texts, Seconds limit);
    /// Types on the console; it goes to whoever reads there (GRUB, a rescue shell).
    void type(const std::string& text);
    ConsoleLog& console();

    // Commands inside. The first call waits for the shell.
    /// Waits for the shell; remembers which boot it is of.
    void wait_shell(Seconds limit);
    /// Waits for the shell of another boot than the last one that was seen.
    void wait_rebooted(Seconds limit);
    ShellResult run(const std::string& command, Seconds timeout = Seconds(60), const std::string& input = {});
    /// As `run`, but throws base::Error with its output unless it exits with 0. Returns standard output.
    std::string run_checked(const std::string& command, Seconds timeout = Seconds(60), const std::string& input = {});
    /// Repeats the command until it exits with 0; for states that have no event to wait for.
    std::string run_until(const std::string& command, Seconds limit);
    /// Sends a command that ends the shell with the machine, such as `initctl reboot`; does not wait for it.
    void post(const std::string& command) { shell().post(command); }
    void write_file(const std::string& path, const std::string& content);
    /// Lets somebody else use the port of the shell; the next command takes it again.
    void release_shell() noexcept { shell_.reset(); }

    // Power.
    void press_power_button(); ///< ACPI
    void press_ctrl_alt_del();
    void reset();                         ///< the reset button: no sync, no stop
    void power_cut();                     ///< SIGKILL for QEMU: writes the guest did not flush are lost
    void wait_powered_off(Seconds limit); ///< QEMU ends by itself after the guest's power-off
    void set_link(bool up);
    Qmp& qmp();

    /// The host's port for a port of the guest. Throws base::Error when it is not forwarded.
    std::uint16_t port(std::uint16_t guest_port) const;
    const MachineOptions& options() const noexcept { return options_; }
    std::string path(const std::string& file) const { return options_.directory + "/" + file; }
    /// Copies the machine's logs out of the guest as far as it still answers, beside the console log.
    void collect_logs() noexcept;

private:
    struct Forward {
        std::uint16_t guest;
        ReservedPort host;
    };
    static constexpr int first_card_fd = 10; ///< QEMU's numbers for the cards' cables
    void make_disk();
    void make_config_drive();
    void make_firmware();
    std::string last_seen() noexcept;
    std::vector<std::string> arguments() const;
    ShellClient& shell();

    MachineOptions options_;
    std::vector<Forward> forwards_;
    base::Child qemu_;
    std::optional<ConsoleLog> console_;
    std::optional<Qmp> qmp_;
    std::optional<ShellClient> shell_;
    base::UniqueFd console_input_;
    std::string boot_id_;
};

/// Connects to one of a machine's sockets ("shell.sock", "console.sock"), however long its directory's name is.
base::UniqueFd connect_machine_socket(const std::string& directory, const std::string& name);

} // namespace qemu
