// One machine for all cases of a program, which run in the order they are written: a boot costs half a minute.
#pragma once
#include <boost/test/results_collector.hpp>
#include <boost/test/unit_test.hpp>

#include <optional>
#include <string>

#include "base/error.hpp"
#include "qemu/rig.hpp"

namespace vm_test {

using qemu::Seconds;

constexpr Seconds boot_limit{300};

inline const qemu::Places& places() {
    static const qemu::Places found = qemu::Places::of_program();
    return found;
}

inline qemu::Images& images() {
    static qemu::Images made = [] {
        qemu::Images all(places());
        all.make();
        return all;
    }();
    return made;
}

/// UEFI for what has to do with it: its firmware is slow, and hangs now and then on a busy host (qemu/DESIGN.md).
inline qemu::RigOptions rig_options(const std::string& name, qemu::Firmware firmware) {
    qemu::RigOptions options;
    options.name = name;
    options.firmware = firmware;
    options.cpus = firmware == qemu::Firmware::bios ? 2 : 1;
    options.directory = places().out + "/vm/test-" + name;
    options.disk = images().disk();
    options.repository = images().first_repository();
    return options;
}

/// Owns the program's machine. A case that fails leaves the guest's logs beside the console log.
class SharedRig {
public:
    static qemu::Rig& get(const qemu::RigOptions& options) {
        if (!rig_) {
            // Not tried again by the next case: its boot would fail as well, five minutes later.
            if (tried_)
                throw base::Error("the machine did not boot in an earlier case");
            tried_ = true;
            auto rig = std::make_unique<qemu::Rig>(places(), options);
            try {
                rig->boot(boot_limit);
            } catch (const std::exception& error) {
                if (rig->machine().running())
                    rig->machine().collect_logs();
                throw base::Error(base::error_chain(error));
            }
            rig_ = std::move(rig);
        }
        return *rig_;
    }

    struct CollectLogs {
        ~CollectLogs() {
            const auto& unit = boost::unit_test::framework::current_test_case();
            if (rig_ && !boost::unit_test::results_collector.results(unit.p_id).passed() && rig_->machine().running()) {
                rig_->machine().collect_logs();
                BOOST_TEST_MESSAGE("logs: " << rig_->machine().console().path());
            }
        }
    };

    static void end() { rig_.reset(); }

private:
    inline static std::unique_ptr<qemu::Rig> rig_;
    inline static bool tried_ = false;
};

struct EndMachine {
    ~EndMachine() { SharedRig::end(); }
};

/// Offers one of the images' repositories to the machine, whatever was offered to it before.
inline void offer(qemu::Rig& rig, const std::string& repository) {
    images().offer_anew(repository);
    rig.publish(repository);
}

/// A unit that serves a page; the same text in every test.
inline void start_unit(qemu::Rig& rig) {
    rig.docker_checked({"load", "-i", images().container_image()});
    rig.fleetctl({"submit", places().source + "/qemu/guest/web.yaml"});
    rig.fleetctl({"start", "web"});
}

inline void wait_for_unit(qemu::Rig& rig) {
    rig.machine().run_until("wget -q -O - http://127.0.0.1:8080/ | grep -q 'It works'", boot_limit);
}

} // namespace vm_test

using vm_test::EndMachine;
BOOST_TEST_GLOBAL_FIXTURE(EndMachine);
