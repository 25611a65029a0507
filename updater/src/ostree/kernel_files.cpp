#include "kernel_files.hpp"

#include "updater/boot_text.hpp"

namespace updater {

KernelFiles find_kernel(const Repository& repository, const std::string& commit) {
    const std::string modules = "usr/lib/modules";
    std::optional<KernelFiles> found;
    for (const Repository::Entry& directory : repository.list_directory(commit, modules)) {
        if (!directory.is_directory)
            continue;
        KernelFiles kernel;
        kernel.version = directory.name;
        for (Repository::Entry& file : repository.list_directory(commit, modules + "/" + directory.name)) {
            if (file.name == "vmlinuz")
                kernel.vmlinuz = std::move(file);
            else if (file.name == "initramfs.img")
                kernel.initramfs = std::move(file);
        }
        if (kernel.vmlinuz.name.empty())
            continue;
        if (found)
            throw base::Error(fmt::format("commit {}: two kernels, {} and {}", commit, found->version, kernel.version));
        found = std::move(kernel);
    }
    if (!found)
        throw base::Error(fmt::format("commit {}: no {}/*/vmlinuz", commit, modules));
    if (found->initramfs.name.empty())
        throw base::Error(fmt::format("commit {}: no {}/{}/initramfs.img", commit, modules, found->version));
    return *found;
}

void check_boot_entry(const Repository& repository, const CommitInfo& commit, const KernelFiles& kernel) {
    const std::string what = "commit " + commit.checksum;
    require_safe_boot_text(commit.version, what + ": version");
    require_safe_boot_text(kernel.version, what + ": kernel version");
    const std::optional<std::string> os_release =
        repository.read_file(commit.checksum, "usr/lib/os-release", 64 * 1024);
    if (!os_release)
        throw base::Error(what + ": no usr/lib/os-release");
    require_safe_os_release(*os_release, what + ": os-release");
}

} // namespace updater
