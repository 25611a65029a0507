// Every file and socket the updater touches, in one place, so that a test can put them all below a directory.
#pragma once
#include <string>

namespace updater {

struct Paths {
    std::string root = "/"; ///< what libostree takes as the sysroot
    std::string boot = "/boot";
    std::string grub_env = "/boot/grub/grubenv";
    std::string grub_good = "/boot/grub/good"; ///< what is `ok`, for a GRUB whose environment block is damaged
    std::string state_directory = "/var/lib/atoll/updater";
    std::string command_line = "/proc/cmdline";
    std::string boot_id = "/proc/sys/kernel/random/boot_id";
    std::string trusted_keys = "/usr/share/ostree/trusted.ed25519.d";
    std::string revoked_keys = "/usr/share/ostree/revoked.ed25519.d";
    std::string machine_id = "/etc/machine-id";
    std::string image_yaml = "/usr/lib/atoll/image.yaml";
    std::string host_yaml = "/etc/atoll/host.yaml";
    std::string bus_socket = "/run/atoll/updater.sock";
    std::string engine_socket = "/run/atoll/engine.sock";
    /// GRUB as the booted image carries it.
    std::string boot_loader = "/usr/lib/atoll/boot-loader";
    /// What `updaterd --boot-loader` found out or did.
    std::string boot_loader_answer = "/run/atoll/boot-loader.json";
    std::string init_socket = "/run/atoll/init.sock";
    std::string init_failure = "/var/lib/atoll/init/last-failure";
    std::string last_panic = "/var/lib/atoll/init/last-panic";
    /// Holds the booted revision once it is good: who migrates state under /var waits for it.
    std::string good_revision = "/run/atoll/good-revision";

    /// Which interrupted download the leftovers are of.
    std::string partial_file() const { return state_directory + "/partial.json"; }
    std::string state_file() const { return state_directory + "/state.json"; }
    std::string trust_file() const { return state_directory + "/trust.json"; }
    /// Parts of a static delta that is being fetched.
    std::string delta_directory() const { return state_directory + "/delta"; }
    std::string history_file() const { return state_directory + "/history.json"; }
    /// The real machine: libostree's view of "/" is the booted deployment.
    bool is_machine() const noexcept { return root == "/"; }

    /// All of them below `directory`; "/" gives the defaults.
    static Paths below(const std::string& directory);
};

/// The value of `name` on a kernel command line; empty when it is not there. The last one wins, as in the kernel.
std::string kernel_argument(std::string_view command_line, std::string_view name);

} // namespace updater
