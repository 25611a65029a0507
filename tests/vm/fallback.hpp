// A release that is no good is installed as any other, and the machine comes back from it by itself.
#pragma once
#include "shared_rig.hpp"

namespace vm_test {

/// Installs the release made from qemu/guest/`yaml`.yaml and waits until 1.0 runs again; then the receipt must name
/// the release and `reason`.
inline void falls_back(qemu::Rig& rig, const std::string& yaml, const std::string& reason, Seconds limit,
                       const std::function<void()>& on_trial = {}) {
    offer(rig, images().make_release(yaml));
    rig.machine().run_checked("updatectl upgrade", Seconds(300));
    rig.machine().post("initctl reboot");
    if (on_trial) {
        rig.machine().wait_rebooted(boot_limit);
        BOOST_TEST(rig.version() == "3.0-" + yaml);
        on_trial();
    }
    rig.wait_fallback("1.0", limit);
    const std::string status = rig.machine().run_checked("updatectl status");
    BOOST_TEST(status.find("3.0-" + yaml) != std::string::npos, "no release in the receipt:\n" << status);
    BOOST_TEST(status.find(reason) != std::string::npos, "no '" << reason << "' in the receipt:\n" << status);
    // It is not tried again by itself.
    const qemu::ShellResult again = rig.machine().run("updatectl upgrade", Seconds(120));
    BOOST_TEST((again.output + again.errors).find("another request") == std::string::npos, again.errors);
    BOOST_TEST(!rig.machine().run("updatectl status | grep -q '^staged '").ok(), again.output << again.errors);
}

} // namespace vm_test
