#include "updaterd_program.hpp"

#include <CLI/CLI.hpp>

#include "base/command_line.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "daemon.hpp"
#include "updater/boot_loader.hpp"

namespace updater {

namespace {

/// The worker beside our own program file.
std::string worker_beside_us() {
    return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "updater-worker";
}

// Freezing /boot needs it; libostree would go on with syncfs and leave a machine that may not boot after a power cut.
void require_sys_admin() {
    constexpr unsigned cap_sys_admin = 21;
    const std::string status = base::read_file("/proc/self/status", 64 * 1024);
    const std::size_t line = status.find("CapEff:");
    const std::uint64_t effective =
        line == std::string::npos ? 0 : std::strtoull(status.c_str() + line + std::strlen("CapEff:"), nullptr, 16);
    if ((effective >> cap_sys_admin & 1) == 0)
        throw base::Error("CAP_SYS_ADMIN is missing: without it /boot cannot be frozen, and an update interrupted by a "
                          "power cut may not boot; add it to the service's capabilities");
}

int run(int argc, char** argv) {
    CLI::App app{"Keeps this machine on a signed release, and judges every boot of a new one"};
    std::string root = "/";
    bool finalize_now = false;
    std::string worker = worker_beside_us();
    std::optional<LoaderJob> loader_job;
    app.set_version_flag("--version", base::version());
    app.add_flag("--finalize", finalize_now,
                 "make the staged update the next deployment, and end; run at shutdown when the containers are gone");
    static const std::map<std::string, LoaderJob> loader_jobs{
        {"look", LoaderJob::look}, {"update", LoaderJob::update}, {"downgrade", LoaderJob::downgrade}};
    app.add_option("--boot-loader", loader_job,
                   "look at the boot loader, or replace it with the booted image's, and "
                   "end; run by init for `updatectl bootloader`")
        ->option_text("look|update|downgrade")
        ->transform(CLI::CheckedTransformer(loader_jobs));
    app.add_option("--root", root, "directory that stands for /")->capture_default_str();
    app.add_option("--worker", worker, "the updater-worker program")->capture_default_str();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return base::end_of_parse(app, error);
    }
    const Paths paths = Paths::below(root);
    if (paths.is_machine())
        require_sys_admin();
    base::make_directories(paths.state_directory, 0755);
    if (loader_job)
        return answer_loader_job(paths, *loader_job) ? 0 : 1;
    if (finalize_now) {
        if (!finalize(paths, worker, paths.is_machine()))
            base::log_info("nothing is staged");
        return 0;
    }
    EventLoop loop;
    Daemon daemon(loop, paths, worker);
    daemon.start();
    loop.run();
    return 0;
}

} // namespace

int run_updaterd(int argc, char** argv) {
    base::log_init("updaterd");
    return base::run_main("updaterd", [&] { return run(argc, argv); });
}

} // namespace updater
