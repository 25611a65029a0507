#include <sys/stat.h>

#include <filesystem>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "base/process.hpp"
#include "base/sha256.hpp"
#include "image/packages.hpp"

namespace image {
namespace {

constexpr std::size_t max_package = 1ULL << 30;
constexpr std::string_view gone_advice =
    "put the file into the pool, renew the lock with `mkimage lock`, or build with --relock";

/// The last line of apt's messages without its "E: ".
std::string last_line(std::string text) {
    text.erase(text.find_last_not_of('\n') + 1);
    text.erase(0, text.rfind('\n') + 1);
    if (text.starts_with("E: "))
        text.erase(0, 3);
    return text.empty() ? "no message" : text;
}

void verify(const LockedPackage& package, const std::string& path) {
    const std::string content = base::read_file(path, max_package);
    if (content.size() != package.size)
        throw base::Error("package " + path + ": " + std::to_string(content.size()) + " bytes, but " +
                          std::to_string(package.size) + " are locked");
    if (const std::string digest = base::sha256_hex(content); digest != package.sha256)
        throw base::Error("package " + path + ": digest " + digest + ", but " + package.sha256 +
                          " is locked; remove the file to download it again");
}

} // namespace

bool PackagePool::has(const LockedPackage& package) const {
    if (!std::filesystem::exists(path_of(package)))
        return false;
    verify(package, path_of(package));
    return true;
}

void PackagePool::fetch(const std::vector<LockedPackage>& packages) const {
    std::vector<LockedPackage> missing;
    for (const LockedPackage& package : packages) {
        if (!has(package))
            missing.push_back(package);
    }
    if (missing.empty())
        return;
    base::make_directories(directory_);
    base::log_info("downloading packages count={} pool={}", missing.size(), directory_);
    const base::TempDir download(".download", directory_);
    // The files are checked by digest below; apt's own sandbox user could not write here.
    std::vector<std::string> argv{"apt-get", "download",          "-q", "-o", "APT::Sandbox::User=root",
                                  "-o",      "Acquire::Retries=3"};
    for (const LockedPackage& package : missing)
        argv.push_back(package.name + "=" + package.version);
    base::RunOptions options;
    options.spawn.directory = download.path();
    options.spawn.environment = {"LC_ALL=C.UTF-8"};
    const base::RunResult result = base::run(argv, options);
    if (!result.status.success()) {
        if (result.errors.find("was not found") != std::string::npos ||
            result.errors.find("Unable to locate") != std::string::npos)
            throw PackageGone(last_line(result.errors) +
                              ": the mirror has dropped a locked version: " + std::string(gone_advice));
        throw base::Error("apt-get download: " + last_line(result.errors));
    }
    for (const LockedPackage& package : missing) {
        const std::string path = download / package.pool_name();
        verify(package, path);
        std::filesystem::rename(path, path_of(package));
    }
}

} // namespace image
