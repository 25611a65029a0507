// Known ways out of a container, tried.
#include <boost/test/unit_test.hpp>

#include <fcntl.h>
#include <linux/mount.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "bundle.hpp"

using ocirun_test::Bundle;
using ocirun_test::text;
namespace fs = std::filesystem;
namespace json = boost::json;

BOOST_FIXTURE_TEST_SUITE(escape, Bundle)

// CVE-2019-5736: what /proc/PID/exe leads to is opened for writing once the program has ended.
BOOST_AUTO_TEST_CASE(the_runtimes_own_file_cannot_be_written) {
    // A program of its own: one that anybody else runs at the moment cannot be written for that reason already.
    const std::string runtime = path() + "/runtime";
    fs::copy_file(OCIRUN, runtime);
    args({"/probe", "wait"});
    save();
    BOOST_REQUIRE(
        base::Child::spawn({runtime, "--root", state_root(), "create", "--bundle", path(), "box"}).wait().success());
    const std::string exe = "/proc/" + std::to_string(state().at("pid").as_int64()) + "/exe";
    const base::UniqueFd handle(open(exe.c_str(), O_PATH | O_CLOEXEC)); // as a container's process would keep it
    std::ofstream(path() + "/over") << "x";
    BOOST_REQUIRE(handle);
    BOOST_REQUIRE(ocirun({"delete", "--force", "box"}).status.success());
    const std::string again = "/proc/self/fd/" + std::to_string(handle.get());
    const base::UniqueFd writer(open(again.c_str(), O_WRONLY | O_CLOEXEC));
    BOOST_TEST(!writer);
    BOOST_TEST((errno == EROFS || errno == EPERM), errno);
    // Nor is there a way to make its mount writable, or another of the file: not even for who has every capability.
    mount_attr writable{0, MOUNT_ATTR_RDONLY, 0, 0};
    BOOST_TEST(syscall(SYS_mount_setattr, handle.get(), "", AT_EMPTY_PATH, &writable, sizeof writable) < 0);
    BOOST_TEST(syscall(SYS_open_tree, handle.get(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE) < 0);
    BOOST_TEST(syscall(SYS_mount, nullptr, again.c_str(), nullptr, MS_REMOUNT | MS_BIND, nullptr) < 0);
    BOOST_TEST(syscall(SYS_mount, again.c_str(), (path() + "/over").c_str(), nullptr, MS_BIND, nullptr) < 0);
    BOOST_TEST(errno == EINVAL);
    // The check can fail: the same file by its own path can be written.
    BOOST_TEST(bool(base::UniqueFd(open(runtime.c_str(), O_WRONLY | O_CLOEXEC))));
}

// An entrypoint that is the runtime itself: it runs, from a file that cannot be written, and finds no container.
BOOST_AUTO_TEST_CASE(the_runtime_as_the_program) {
    args({"/proc/self/exe", "--version"});
    save();
    const base::RunResult result = ocirun({"run", "box"});
    if (result.status.success())
        BOOST_TEST(result.output.starts_with("ocirun "));
    else
        BOOST_TEST(result.errors.find("exec") != std::string::npos, result.errors);
}

// CVE-2024-21626: a working directory by a descriptor of the runtime's.
BOOST_AUTO_TEST_CASE(a_working_directory_outside) {
    for (int fd = 0; fd < 16; ++fd) {
        process()["cwd"] = "/proc/self/fd/" + std::to_string(fd);
        save();
        const base::RunResult result = ocirun({"run", "box"});
        BOOST_TEST(result.status.code == 1, "fd " << fd << ": " << result.output);
        BOOST_TEST(result.errors.find("process.cwd: /proc/self/fd/") != std::string::npos, result.errors);
    }
    BOOST_TEST(leftovers() == "");
    process()["cwd"] = "/";
    start_waiting();
    for (int fd = 0; fd < 16; ++fd) {
        const base::RunResult result =
            ocirun({"exec", "--cwd", "/proc/self/fd/" + std::to_string(fd), "box", "/probe", "report"});
        BOOST_TEST(result.status.code == 1, "fd " << fd << ": " << result.output);
    }
}

// The same for the program, and for a working directory behind a symlink of the image's: no descriptor of the host's
// is open any more when they are looked for. (Of a directory exec would say "Permission denied".)
BOOST_AUTO_TEST_CASE(a_program_behind_a_descriptor) {
    args({"/probe", "wait"});
    start_waiting();
    linux_part()["cgroupsPath"] = text(linux_part()["cgroupsPath"]) + "2";
    for (int fd = 3; fd < 24; ++fd) {
        const std::string program = "/proc/self/fd/" + std::to_string(fd) + "/.";
        base::RunResult result = ocirun({"exec", "box", program});
        BOOST_TEST((result.errors.find("No such file or directory") != std::string::npos ||
                    result.errors.find("Not a directory") != std::string::npos),
                   result.errors);
        args({program});
        save();
        result = ocirun({"run", "second"});
        BOOST_TEST((result.errors.find("No such file or directory") != std::string::npos ||
                    result.errors.find("Not a directory") != std::string::npos),
                   result.errors);
        fs::remove(rootfs("/work"));
        fs::create_symlink("/proc/self/fd/" + std::to_string(fd), rootfs("/work"));
        process()["cwd"] = "/work";
        save();
        result = ocirun({"run", "second"});
        BOOST_TEST(result.errors.find("process.cwd: /work") != std::string::npos, result.errors);
        BOOST_TEST(ocirun({"exec", "--cwd", "/work", "box", "/probe", "report"}).status.code == 1);
        process()["cwd"] = "/";
    }
}

// CVE-2021-30465 and its like: an image's symlinks do not lead mounts out of the root.
BOOST_AUTO_TEST_CASE(mounts_follow_symlinks_inside_only) {
    const std::string outside = path() + "/outside";
    fs::create_directories(outside);
    fs::create_symlink(outside, rootfs("/absolute"));
    fs::create_symlink("../../../../../../../.." + outside, rootfs("/climbing"));
    fs::create_directories(rootfs("/target"));
    fs::create_symlink("/target", rootfs("/inside"));
    fs::create_directories(path() + "/data");
    std::ofstream(path() + "/data/file") << "data";
    add_mount(R"({"destination": "/inside/deep", "source": "data", "options": ["bind"]})");
    report({"/target/deep/file"});
    BOOST_TEST(text(run().at("files").at("/target/deep/file").at("content")) == "data");

    for (const char* way : {"/absolute", "/climbing"}) {
        mounts().pop_back();
        add_mount(R"({"destination": ")" + std::string(way) + R"(/made", "type": "tmpfs"})");
        save();
        ocirun({"run", "box"}); // made inside, or refused
        BOOST_TEST(fs::is_empty(outside), way);
    }
    BOOST_TEST(leftovers() == "");
}

// CVE-2019-16884 and -19921, CVE-2025-52881: a /proc that is not procfs, or a mount over its files.
BOOST_AUTO_TEST_CASE(proc_is_what_it_says) {
    fs::create_directories(rootfs("/fake"));
    fs::create_symlink("fake", rootfs("/proc"));
    BOOST_TEST(run_error().find("mounts[0]: mount proc on /proc: make path: Too many levels of symbolic links") !=
               std::string::npos);
    fs::remove(rootfs("/proc"));
    fs::create_directories(path() + "/data");
    fs::create_symlink("/proc/self/attr", rootfs("/volume"));
    add_mount(R"({"destination": "/volume", "source": "data", "options": ["bind"]})");
    BOOST_TEST(run_error().find("/volume: the destination is a file of procfs") != std::string::npos);
    mounts().pop_back();
    std::ofstream(path() + "/data/meminfo") << "MemTotal: 1 kB\n";
    add_mount(R"({"destination": "/proc/meminfo", "source": "data/meminfo", "options": ["bind"]})");
    report({"/proc/meminfo"});
    BOOST_TEST(text(run().at("files").at("/proc/meminfo").at("content")) == "MemTotal: 1 kB\n");
}

// CVE-2025-52565: the terminal is bound over what the image put at /dev/console.
BOOST_AUTO_TEST_CASE(a_console_that_is_a_symlink) {
    mounts().erase(mounts().begin() + 1); // /dev is the image's
    mounts().erase(mounts().begin() + 1);
    fs::create_directories(rootfs("/dev"));
    make_file("/victim", "mine");
    fs::create_symlink("/victim", rootfs("/dev/console"));
    fs::create_symlink("/victim", rootfs("/dev/null"));
    add_mount(R"({"destination": "/dev/pts", "type": "devpts", "options": ["newinstance", "ptmxmode=0666"]})");
    process()["terminal"] = true;
    report({"/victim", "/dev/null", "/dev/console"});
    const json::object report = run();
    BOOST_TEST(text(report.at("files").at("/dev/console").at("device")) == "136:0"); // over the symlink, not its target
    BOOST_TEST(text(report.at("files").at("/dev/null").at("device")) == "1:3");      // the node, not the symlink
    BOOST_TEST(text(report.at("files").at("/victim").at("content")) == "mine");
}

// A devpts that is none: what is typed would go to the image's program.
BOOST_AUTO_TEST_CASE(a_terminal_master_that_is_none) {
    mounts().erase(mounts().begin() + 2); // no devpts
    add_mount(R"({"destination": "/dev/pts", "type": "tmpfs"})");
    process()["terminal"] = true;
    save();
    BOOST_TEST(ocirun({"run", "box"}).errors.find("process.terminal: open: No such file or directory") !=
               std::string::npos);
}

// CVE-2025-31133: masking binds the host's null device, whatever the container has at /dev/null.
BOOST_AUTO_TEST_CASE(masks_do_not_use_the_containers_null_device) {
    mounts().erase(mounts().begin() + 1); // /dev is the image's
    mounts().erase(mounts().begin() + 1);
    make_file("/dev/null", "not a device");
    make_file("/secret", "secret");
    linux_part()["maskedPaths"] = json::parse(R"(["/secret"])");
    report({"/secret"});
    BOOST_TEST(text(run().at("files").at("/secret").at("device")) == "1:3");
}

BOOST_AUTO_TEST_CASE(a_process_that_joins_cannot_be_traced_before_it_is_the_program) {
    start_waiting();
    // While `create` or `exec` set up, the process is not dumpable: /proc/PID/exe of it belongs to root alone.
    args({"/probe", "wait"});
    linux_part()["cgroupsPath"] = text(linux_part()["cgroupsPath"]) + "2";
    save();
    BOOST_REQUIRE(
        base::Child::spawn({OCIRUN, "--root", state_root(), "create", "--bundle", path(), "second"}).wait().success());
    const std::string pid = std::to_string(state("second").at("pid").as_int64());
    const base::RunResult traced =
        base::run({"setpriv", "--bounding-set=-all", "--inh-caps=-all", "readlink", "/proc/" + pid + "/exe"});
    BOOST_TEST(!traced.status.success());
}

BOOST_AUTO_TEST_SUITE_END()
