// What a machine is made of on the host: disk overlay, config drive, firmware variables.
#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "qemu/machine.hpp"

namespace qemu {
namespace {

constexpr const char* ovmf_code = "/usr/share/OVMF/OVMF_CODE_4M.fd";
constexpr const char* ovmf_variables = "/usr/share/OVMF/OVMF_VARS_4M.fd";

bool exists(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
}

bool is_qcow2(const std::string& path) {
    const base::UniqueFd file = base::open_file(path, O_RDONLY);
    std::array<char, 4> magic{};
    return ::pread(file.get(), magic.data(), magic.size(), 0) == 4 && std::string_view(magic.data(), 4) == "QFI\xfb";
}

/// blkdebug over the overlay counts the guest's sectors. "none" is its event that needs no trigger.
std::string disk_drive(const std::vector<MachineOptions::DiskError>& errors) {
    const std::string options = ",cache=writeback,discard=unmap";
    if (errors.empty())
        return "if=none,id=disk,file=disk.qcow2,format=qcow2" + options;
    std::string drive = "if=none,id=disk,driver=blkdebug,image.driver=qcow2,image.file.driver=file,"
                        "image.file.filename=disk.qcow2" +
                        options;
    for (std::size_t i = 0; i < errors.size(); ++i)
        drive += fmt::format(",inject-error.{0}.event=none,inject-error.{0}.iotype={1},inject-error.{0}.sector={2}", i,
                             errors[i].on_write ? "write" : "read", errors[i].sector);
    return drive;
}

std::string absolute(const std::string& path) {
    return std::filesystem::absolute(path).string();
}

} // namespace

void Machine::make_disk() {
    if (options_.disk.empty() || exists(path("disk.qcow2")))
        return;
    std::vector<std::string> argv = {"qemu-img",
                                     "create",
                                     "-q",
                                     "-f",
                                     "qcow2",
                                     "-b",
                                     absolute(options_.disk),
                                     "-F",
                                     is_qcow2(options_.disk) ? "qcow2" : "raw",
                                     path("disk.qcow2")};
    if (options_.disk_size != 0)
        argv.push_back(std::to_string(options_.disk_size));
    base::run_checked(argv);
}

void Machine::make_config_drive() {
    if (options_.config_drive.empty() || exists(path("config.img")))
        return;
    const base::TempDir content("config-drive");
    for (const auto& [name, text] : options_.config_drive)
        base::write_durable(content / name, text, 0600);
    const std::string image = path("config.img");
    base::UniqueFd file = base::open_file(image, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    base::check(::ftruncate(file.get(), 4 * 1024 * 1024), "truncate " + image);
    base::checked_close(std::move(file), image);
    // No journal: the drive is attached read-only.
    base::run_checked({"mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-L", "ATOLL-CONF", "-E",
                       "root_owner=0:0", "-d", content.path(), image});
}

void Machine::make_firmware() {
    if (options_.firmware != Firmware::uefi || !options_.kernel.empty() || exists(path("vars.fd")))
        return;
    if (!exists(ovmf_code))
        throw base::Error(ENOENT, std::string(ovmf_code) + " (package ovmf)");
    base::write_durable(path("vars.fd"), base::read_file(ovmf_variables), 0600);
}

std::vector<std::string> Machine::arguments() const {
    std::vector<std::string> argv = {
        "qemu-system-x86_64", "-name", options_.name, "-nodefaults", "-no-user-config", "-display", "none",
        // la57: five levels of page tables make every TLB miss of an emulated CPU dearer and show us nothing.
        "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-smp", std::to_string(options_.cpus),
        "-m", std::to_string(options_.memory_mib),
        // Relative paths: a unix socket's name has 108 bytes, and our directory may be deep.
        "-chardev", "socket,id=console,path=console.sock,server=on,wait=off,logfile=console.log,logappend=on",
        "-serial", "chardev:console", "-chardev", "socket,id=shell,path=shell.sock,server=on,wait=off", "-serial",
        "chardev:shell", "-qmp", "unix:qmp.sock,server=on,wait=off", "-object",
        "rng-random,id=random,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random"};
    const auto add = [&argv](std::initializer_list<std::string> more) {
        argv.insert(argv.end(), more);
    };
    if (options_.firmware == Firmware::uefi && options_.kernel.empty())
        add({"-drive", std::string("if=pflash,unit=0,format=raw,readonly=on,file=") + ovmf_code, "-drive",
             "if=pflash,unit=1,format=raw,file=vars.fd"});
    if (!options_.write_log.empty())
        // An entry is in the log, and counted there, before the guest hears that its write is done.
        add({"-blockdev", "driver=qcow2,node-name=overlay,discard=unmap,file.driver=file,file.filename=disk.qcow2",
             "-blockdev",
             "driver=blklogwrites,node-name=logged,discard=unmap,log-sector-size=512,log-super-update-interval=1,"
             "file=overlay,log.driver=file,log.filename=" +
                 options_.write_log,
             "-device", "virtio-blk-pci,drive=logged,bootindex=0,addr=0x4"});
    else if (!options_.disk.empty())
        add({"-drive", disk_drive(options_.disk_errors), "-device", "virtio-blk-pci,drive=disk,bootindex=0,addr=0x4"});
    if (!options_.config_drive.empty())
        add({"-drive", "if=none,id=config,file=config.img,format=raw,readonly=on", "-device",
             "virtio-blk-pci,drive=config,addr=0x5"});
    if (!options_.kernel.empty())
        add({"-kernel", absolute(options_.kernel), "-initrd", absolute(options_.initrd), "-append", options_.append});
    // No boot ROM on the cards: the firmware would try the network before it gives up on a disk.
    std::string user = "user,id=net0";
    for (const Forward& forward : forwards_)
        user += fmt::format(",hostfwd=tcp:127.0.0.1:{}-:{}", forward.host.number(), forward.guest);
    add({"-netdev", user, "-device", "virtio-net-pci,id=nic0,netdev=net0,romfile=,addr=0x6"});
    for (std::size_t i = 0; i < options_.cards.size(); ++i)
        add({"-netdev",
             fmt::format("dgram,id=net{},local.type=fd,local.str={}", i + 1, first_card_fd + static_cast<int>(i)),
             "-device",
             fmt::format("virtio-net-pci,id=nic{0},netdev=net{0},mac={1},romfile=,addr={2:#x}", i + 1,
                         options_.cards[i].mac, 7 + i)});
    return argv;
}

} // namespace qemu
