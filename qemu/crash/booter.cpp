#include "crash/booter.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "base/error.hpp"
#include "base/files.hpp"
#include "crash/fsck.hpp"

namespace crash {
namespace {

using qemu::Seconds;

constexpr Seconds boot_limit{600};

std::string without_line_end(std::string text) {
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    return text;
}

/// The recorded machine's host.yaml is on its disk, with a settle time that nobody waits for: a revision on trial is
/// found good by hand once everything is healthy.
void wait_good(qemu::Rig& rig, const BootPlan& plan, BootReport& report) {
    rig.machine().wait_shell(boot_limit);
    rig.machine().run_until("enginectl health && updatectl status --json | grep -Eq '\"busy\": *false' && "
                            "{ test -s /run/atoll/good-revision || updatectl mark-good; }",
                            boot_limit);
    rig.wait_good(boot_limit);
    const auto argument = [&rig](const std::string& name) {
        return without_line_end(
            rig.machine().run_checked(fmt::format("sed -n 's/.*{}=\\([^ ]*\\).*/\\1/p' /proc/cmdline", name)));
    };
    report.booted = argument("atoll\\.rev");
    const std::string& loader =
        plan.firmware == qemu::Firmware::bios ? plan.chosen.bios_loader : plan.chosen.uefi_loader;
    if (report.booted != report.expected)
        report.problem = fmt::format("the checker said revision {}", report.expected);
    else if (const std::string started_by = argument("atoll\\.loader"); started_by != loader)
        report.problem = fmt::format("started by boot loader {}, the checker said {}", started_by, loader);
    if (!plan.chosen.afterwards.empty())
        rig.machine().run_checked(plan.chosen.afterwards, boot_limit);
}

void boot_one(const qemu::Images& images, const std::string& image, const std::string& directory, const BootPlan& plan,
              BootReport& report) {
    qemu::RigOptions options;
    options.name = "replayed";
    options.directory = directory;
    options.disk = image;
    options.repository = images.first_repository();
    options.firmware = plan.firmware;
    qemu::Rig rig(images.places(), options);
    try {
        rig.machine().create();
        rig.machine().start();
        if (!plan.chosen.revision.empty())
            wait_good(rig, plan, report);
        else if (rig.machine().wait_console_any({"Nothing could be booted", "Cannot boot", "Cannot read",
                                                 "error:", "init: stage 1", "init: engined"},
                                                boot_limit) == 5)
            report.problem = "it boots, and the checker said that it does not";
    } catch (const std::exception& error) {
        report.problem = base::error_chain(error);
    }
    rig.machine().power_cut();
}

} // namespace

Chosen choose(const Disk& disk, const std::string& state, const Verdict& verdict) {
    Chosen chosen{.state = state,
                  .revision = verdict.revision,
                  .bios_loader = verdict.bios_loader,
                  .uefi_loader = verdict.uefi_loader,
                  .sectors = {}};
    for (const std::uint64_t sector : disk.touched())
        if (const ContentId id = disk.id(sector); id != 0)
            chosen.sectors.emplace_back(sector, id);
    return chosen;
}

void write_image(const Disk& disk, const Chosen& chosen, const std::string& base_image, const std::string& to) {
    copy_sparse(base_image, 0, disk.sectors() * sector_size, to);
    base::UniqueFd file = base::open_file(to, O_RDWR);
    for (const auto& [sector, id] : chosen.sectors)
        base::write_all_at(file.get(), {reinterpret_cast<const char*>(disk.content(id)), sector_size},
                           static_cast<off_t>(sector * sector_size), to);
    base::checked_close(std::move(file), to);
}

std::vector<BootReport> boot_all(const qemu::Images& images, const Disk& disk, const std::string& base_image,
                                 const std::string& directory, const std::vector<BootPlan>& plans, unsigned machines,
                                 const std::function<void(const BootReport&)>& on_boot) {
    if (machines == 0)
        machines = std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
    std::vector<BootReport> reports(plans.size());
    std::atomic<std::size_t> next{0};
    std::mutex telling;
    const auto work = [&] {
        for (std::size_t number = next++; number < plans.size(); number = next++) {
            const BootPlan& plan = plans[number];
            BootReport& report = reports[number];
            report.state = plan.chosen.state;
            report.firmware = plan.firmware == qemu::Firmware::bios ? "BIOS" : "UEFI";
            report.expected = plan.chosen.revision;
            const auto start = std::chrono::steady_clock::now();
            const std::string place = fmt::format("{}/boot-{}", directory, number);
            try {
                base::make_directories(place);
                write_image(disk, plan.chosen, base_image, place + "/state.raw");
                boot_one(images, place + "/state.raw", place, plan, report);
            } catch (const std::exception& error) {
                report.problem = base::error_chain(error);
            }
            ::unlink((place + "/state.raw").c_str());
            ::unlink((place + "/disk.qcow2").c_str());
            report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
            const std::lock_guard lock(telling);
            if (on_boot)
                on_boot(report);
        }
    };
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < machines; ++i)
        threads.emplace_back(work);
    for (std::thread& thread : threads)
        thread.join();
    return reports;
}

} // namespace crash
