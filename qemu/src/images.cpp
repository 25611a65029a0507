#include "qemu/images.hpp"

#include <sys/file.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "base/sha256.hpp"

namespace qemu {
namespace {

namespace fs = std::filesystem;

/// Releases are ordered by their commits' time. Fixed, so that the same input gives the same commits.
constexpr long first_release_time = 1'790'000'000;

constexpr const char* stream = "atoll/x86_64/stable"; // as in rootfs/atoll.yaml

bool is_test(const std::string& program) {
    for (const char* prefix : {"unit_", "integration_", "vm_", "atoll-vm", "crash-replay", "mkimage", "CMakeFiles"})
        if (program.starts_with(prefix))
            return true;
    return false;
}

/// Names and contents of regular files and links below `directory`, in a fixed order.
void add_tree(base::Sha256& digest, const fs::path& directory) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(directory))
        if (!entry.is_directory() || entry.is_symlink())
            files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) {
        digest.update(file.lexically_relative(directory).string() + '\0');
        digest.update(fs::is_symlink(file) ? fs::read_symlink(file).string()
                                           : base::sha256_hex(base::read_file(file.string(), 1UL << 30U)));
    }
}

} // namespace

Places Places::of_program() {
    const fs::path program = fs::read_symlink("/proc/self/exe");
    Places places;
    places.binaries = program.parent_path().string();
    for (fs::path above = program.parent_path(); places.source.empty(); above = above.parent_path()) {
        if (fs::exists(above / "qemu/guest/dev.yaml"))
            places.source = above.string();
        else if (above == above.root_path())
            throw base::Error(program.string() + ": not inside a source tree of Atoll");
    }
    places.out = places.source + "/out";
    return places;
}

base::UniqueFd Places::lock() const {
    base::make_directories(out);
    base::UniqueFd lock = base::open_file(out + "/lock", O_RDWR | O_CREAT, 0644);
    base::check(::flock(lock.get(), LOCK_EX), "lock " + out + "/lock");
    return lock;
}

void run_logged(const Places& places, const std::string& name, const std::vector<std::string>& argv) {
    base::make_directories(places.out + "/log");
    const std::string path = places.out + "/log/" + name + ".log";
    const base::UniqueFd log = base::open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    base::SpawnOptions spawn;
    spawn.directory = places.source;
    spawn.stdout_fd = log.get();
    spawn.stderr_fd = log.get();
    const base::ExitStatus status = base::Child::spawn(argv, spawn).wait();
    if (status.success())
        return;
    std::string text = base::read_file(path);
    if (constexpr std::size_t enough = 2000; text.size() > enough)
        text.erase(0, text.find('\n', text.size() - enough) + 1);
    throw base::Error(fmt::format("{}: {}; {}\n{}", argv[0], status.describe(), path, text));
}

Images::Images(Places places) : places_(std::move(places)) {}

std::string Images::disk() const {
    return places_.image_directory() + "/first/disk.qcow2";
}
std::string Images::first_repository() const {
    return places_.image_directory() + "/first/repo";
}
std::string Images::repository() const {
    return places_.image_directory() + "/second/repo";
}
std::string Images::container_image() const {
    return places_.image_directory() + "/busybox.tar";
}

std::string Images::fingerprint() const {
    base::Sha256 digest;
    add_tree(digest, places_.source + "/rootfs");
    add_tree(digest, places_.source + "/qemu/guest");
    std::vector<std::string> programs;
    for (const auto& entry : fs::directory_iterator(places_.binaries))
        if (entry.is_regular_file() && !is_test(entry.path().filename().string()))
            programs.push_back(entry.path().string());
    std::sort(programs.begin(), programs.end());
    programs.push_back(places_.binaries + "/mkimage");
    for (const std::string& program : programs)
        digest.update(program + '\0' + base::sha256_hex(base::read_file(program, 1UL << 30U)));
    return digest.finish_hex();
}

bool Images::up_to_date(const std::string& directory) const {
    return base::read_file_if_exists(places_.image_directory() + "/" + directory + "/made-from") == fingerprint_;
}

std::string Images::key(const std::string& name) const {
    const std::string path = places_.out + "/keys/" + name;
    if (!fs::exists(path)) {
        base::make_directories(places_.out + "/keys", 0700);
        base::run_checked({places_.binaries + "/mkimage", "keygen", path});
    }
    return path;
}

void Images::build(const Release& release, const std::string& start_from) const {
    const std::string directory = places_.image_directory() + "/" + release.directory;
    base::remove_tree(directory);
    base::make_directories(directory);
    // Hard links: ostree never writes into a file that has its final name.
    if (!start_from.empty())
        base::run_checked({"cp", "-al", start_from, directory + "/repo"});
    std::vector<std::string> argv = {places_.binaries + "/mkimage",
                                     "build",
                                     places_.source + "/qemu/guest/" + release.yaml + ".yaml",
                                     "-o",
                                     directory,
                                     "--bin-dir",
                                     places_.binaries,
                                     "--relock",
                                     "--version",
                                     release.version,
                                     "--timestamp",
                                     std::to_string(first_release_time + release.number * 1000L),
                                     "--expires-days", // kept below out/ for as long as nothing changes
                                     "3650"};
    // The disk always trusts the good key: a release signed with another one must be refused.
    if (release.signature != Signature::none)
        argv.insert(argv.end(), {"--key", key(release.signature == Signature::good ? "release" : "foreign")});
    argv.emplace_back(release.number == 1 ? "--qcow2" : "--no-disk");
    run_logged(places_, "image-" + release.directory, argv);
    if (release.number == 1)
        ::unlink((directory + "/disk.raw").c_str());
    base::write_durable(directory + "/made-from", fingerprint_);
}

void Images::make() {
    const base::UniqueFd lock = places_.lock();
    fingerprint_ = fingerprint();
    if (!up_to_date("first"))
        build({.directory = "first", .yaml = "dev", .version = "1.0", .number = 1}, {});
    if (!up_to_date("second"))
        build({.directory = "second", .yaml = "next", .version = "2.0", .number = 2}, first_repository());
    if (!fs::exists(container_image()))
        run_logged(places_, "image-busybox",
                   {places_.binaries + "/mkimage", "container", places_.source + "/rootfs/busybox.yaml", "-o",
                    container_image(), "--bin-dir", places_.binaries});
}

std::string Images::make_release(const std::string& yaml, Signature signature) {
    const base::UniqueFd lock = places_.lock();
    if (fingerprint_.empty())
        fingerprint_ = fingerprint();
    Release release{.directory = yaml, .yaml = yaml, .version = "3.0-" + yaml, .number = 3, .signature = signature};
    if (signature != Signature::good)
        release.directory += signature == Signature::none ? "-unsigned" : "-foreign";
    if (!up_to_date(release.directory))
        build(release, repository());
    return places_.image_directory() + "/" + release.directory + "/repo";
}

std::string Images::make_disk(const std::string& yaml) {
    const base::UniqueFd lock = places_.lock();
    if (fingerprint_.empty())
        fingerprint_ = fingerprint();
    if (!up_to_date(yaml))
        build({.directory = yaml, .yaml = yaml, .version = "1.0", .number = 1}, {});
    return places_.image_directory() + "/" + yaml + "/disk.qcow2";
}

void Images::offer_anew(const std::string& repository) const {
    base::run_checked({places_.binaries + "/mkimage", "channel", repository, "--stream", stream, "--expires-days",
                       "3650", "--key", key("release")});
}

} // namespace qemu
