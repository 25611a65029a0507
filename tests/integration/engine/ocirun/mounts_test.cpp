// Mounts, masked and read-only paths, seen from inside.
#include <boost/test/unit_test.hpp>

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "bundle.hpp"

using ocirun_test::Bundle;
using ocirun_test::has_option;
using ocirun_test::text;
namespace json = boost::json;

namespace {

struct Fixture : Bundle {
    Fixture() {
        std::filesystem::create_directories(path() + "/data/sub");
        std::ofstream(path() + "/data/file") << "of the host";
        std::ofstream(path() + "/single") << "alone";
    }
    const json::object& mount(const std::string& destination) {
        return report_.at("mounts").at(destination).as_object();
    }
    const json::object& file(const std::string& name) { return report_.at("files").at(name).as_object(); }
    void look(const std::vector<std::string>& paths) {
        report(paths);
        report_ = run();
    }
    json::object report_;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(mounts, Fixture)

BOOST_AUTO_TEST_CASE(file_systems_with_their_options) {
    add_mount(R"({"destination": "/scratch", "type": "tmpfs", "source": "mine",
                  "options": ["ro", "nosuid", "noexec", "nodev", "noatime", "size=65536", "mode=1777"]})");
    add_mount(R"({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid"]})");
    add_mount(R"({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]})");
    look({"/scratch", "/sys/fs/cgroup/cgroup.procs"});
    for (const char* option : {"ro", "nosuid", "noexec", "nodev", "noatime"})
        BOOST_TEST(has_option(mount("/scratch"), option), option);
    BOOST_TEST(text(mount("/scratch").at("super")).find("size=64k") != std::string::npos);
    BOOST_TEST((file("/scratch").at("mode").as_int64() & 07777) == 01777);
    BOOST_TEST(file("/scratch").at("write").as_int64() == EROFS);
    BOOST_TEST(text(mount("/dev/mqueue").at("type")) == "mqueue");
    BOOST_TEST(text(mount("/sys/fs/cgroup").at("type")) == "cgroup2");
    BOOST_TEST(text(mount("/sys/fs/cgroup").at("root")) == "/");
    BOOST_TEST(text(file("/sys/fs/cgroup/cgroup.procs").at("content")) == "1\n");
    BOOST_TEST(file("/sys/fs/cgroup/cgroup.procs").at("write").as_int64() == EROFS);
}

BOOST_AUTO_TEST_CASE(without_a_cgroup_namespace_its_own_group_is_bound) {
    namespaces(R"([{"type": "mount"}, {"type": "pid"}, {"type": "uts"}, {"type": "network"}])");
    add_mount(
        R"({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro", "nosuid"]})");
    look({"/sys/fs/cgroup/cgroup.procs"});
    BOOST_TEST(text(mount("/sys/fs/cgroup").at("root")) == text(linux_part().at("cgroupsPath")));
    BOOST_TEST(has_option(mount("/sys/fs/cgroup"), "ro"));
    BOOST_TEST(text(file("/sys/fs/cgroup/cgroup.procs").at("content")) == "1\n");
}

BOOST_AUTO_TEST_CASE(bind_mounts) {
    add_mount(R"({"destination": "/data", "source": "data", "options": ["bind", "ro", "nosuid"]})");
    add_mount(R"({"destination": "/rw", "source": ")" + path() + R"(/data", "options": ["rbind"]})");
    add_mount(R"({"destination": "/etc/one", "source": "single", "type": "bind", "options": ["ro"]})");
    look({"/data/file", "/data", "/rw", "/etc/one"});
    BOOST_TEST(text(file("/data/file").at("content")) == "of the host");
    BOOST_TEST(file("/data").at("write").as_int64() == EROFS);
    BOOST_TEST(has_option(mount("/data"), "nosuid"));
    BOOST_TEST(file("/rw").at("write").as_int64() == 0);
    BOOST_TEST(text(file("/etc/one").at("content")) == "alone");
    BOOST_TEST(file("/etc/one").at("write").as_int64() == EROFS);
    BOOST_TEST(text(mount("/data").at("tags")) == "");
}

BOOST_AUTO_TEST_CASE(recursive_attributes_reach_the_mounts_below) {
    base::run_checked({"mount", "-t", "tmpfs", "below", path() + "/data/sub"});
    add_mount(R"({"destination": "/top", "source": "data", "options": ["rbind", "ro"]})");
    add_mount(R"({"destination": "/all", "source": "data", "options": ["rbind", "rro"]})");
    add_mount(R"({"destination": "/flat", "source": "data", "options": ["bind"]})");
    look({"/top", "/top/sub", "/all", "/all/sub"});
    base::run_checked({"umount", path() + "/data/sub"});
    BOOST_TEST(file("/top").at("write").as_int64() == EROFS);
    BOOST_TEST(file("/top/sub").at("write").as_int64() == 0);
    BOOST_TEST(file("/all").at("write").as_int64() == EROFS);
    BOOST_TEST(file("/all/sub").at("write").as_int64() == EROFS);
    BOOST_TEST(!report_.at("mounts").as_object().contains("/flat/sub"));
}

BOOST_AUTO_TEST_CASE(propagation) {
    add_mount(R"({"destination": "/own", "source": "data", "options": ["bind", "shared"]})");
    add_mount(R"({"destination": "/none", "source": "data", "options": ["bind", "unbindable"]})");
    look({});
    BOOST_TEST(text(mount("/own").at("tags")).starts_with("shared:"));
    BOOST_TEST(text(mount("/none").at("tags")) == "unbindable ");
}

BOOST_AUTO_TEST_CASE(a_tmpfs_starts_with_what_it_covers) {
    make_file("/var/a/b", "kept");
    std::filesystem::create_symlink("b", rootfs("/var/a/link"));
    BOOST_REQUIRE(chmod(rootfs("/var/a/b").c_str(), 0640) == 0);
    BOOST_REQUIRE(chown(rootfs("/var/a/b").c_str(), 11, 12) == 0);
    add_mount(R"({"destination": "/var", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "ro"]})");
    look({"/var/a/b", "/var/a/link", "/var/a"});
    BOOST_TEST(text(mount("/var").at("type")) == "tmpfs");
    BOOST_TEST(file("/var/a/b").at("mode").as_int64() == (S_IFREG | 0640));
    BOOST_TEST(file("/var/a/b").at("uid").as_int64() == 11);
    BOOST_TEST(text(file("/var/a/link").at("link")) == "b");
    BOOST_TEST(file("/var/a").at("write").as_int64() == EROFS);
}

BOOST_AUTO_TEST_CASE(overlay_with_options_longer_than_the_mount_api_takes) {
    std::string lower;
    base::run_checked({"mount", "-t", "tmpfs", "layers", path() + "/data"});
    for (int layer = 0; layer < 8; ++layer) {
        const std::string directory = path() + "/data/layer" + std::to_string(layer) + std::string(60, 'x');
        std::filesystem::create_directories(directory);
        std::ofstream(directory + "/f" + std::to_string(layer)) << layer;
        lower += (lower.empty() ? "" : ":") + directory;
    }
    add_mount(R"({"destination": "/merged", "type": "overlay", "source": "overlay", "options":
                 ["lowerdir=)" +
              lower + R"(", "nosuid"]})");
    look({"/merged/f7", "/merged"});
    base::run_checked({"umount", path() + "/data"});
    BOOST_TEST(text(file("/merged/f7").at("content")) == "7");
    BOOST_TEST(file("/merged").at("entries").as_array().size() == 8U);
    BOOST_TEST(has_option(mount("/merged"), "nosuid"));
}

BOOST_AUTO_TEST_CASE(owners_are_mapped) {
    BOOST_REQUIRE(chown((path() + "/data/file").c_str(), 3, 4) == 0);
    const std::string mapping = R"("uidMappings": [{"containerID": 0, "hostID": 70000, "size": 10}],
                                   "gidMappings": [{"containerID": 0, "hostID": 80000, "size": 10}]})";
    add_mount(R"({"destination": "/mapped", "source": "data", "options": ["bind", "idmap"], )" + mapping);
    add_mount(R"({"destination": "/plain", "source": "data", "options": ["bind"]})");
    look({"/mapped/file", "/plain/file"});
    BOOST_TEST(file("/mapped/file").at("uid").as_int64() == 70003);
    BOOST_TEST(file("/mapped/file").at("gid").as_int64() == 80004);
    BOOST_TEST(file("/plain/file").at("uid").as_int64() == 3);
    BOOST_TEST(has_option(mount("/mapped"), "idmapped"));

    mounts().resize(4);
    add_mount(R"({"destination": "/scratch", "type": "tmpfs", "source": "x", "options": ["mode=777"], )" + mapping);
    look({"/scratch"});
    BOOST_TEST(file("/scratch").at("uid").as_int64() == 70000);

    // The user namespace's own mapping: on the disk as in the container.
    use_user_namespace();
    mounts().resize(4);
    add_mount(R"({"destination": "/own", "source": "data", "options": ["bind", "idmap", "ro"]})");
    look({"/own/file", "/own"});
    BOOST_TEST(file("/own/file").at("uid").as_int64() == 3);
    BOOST_TEST(file("/own/file").at("gid").as_int64() == 4);
    BOOST_TEST(file("/own").at("write").as_int64() == EROFS);
}

BOOST_AUTO_TEST_CASE(mappings_reach_the_mounts_below_when_asked_to) {
    base::run_checked({"mount", "-t", "tmpfs", "below", path() + "/data/sub"});
    const std::string mapping = R"("uidMappings": [{"containerID": 0, "hostID": 70000, "size": 10}],
                                   "gidMappings": [{"containerID": 0, "hostID": 80000, "size": 10}]})";
    add_mount(R"({"destination": "/top", "source": "data", "options": ["rbind", "idmap"], )" + mapping);
    add_mount(R"({"destination": "/all", "source": "data", "options": ["rbind", "ridmap"], )" + mapping);
    look({"/top", "/top/sub", "/all", "/all/sub"});
    base::run_checked({"umount", path() + "/data/sub"});
    BOOST_TEST(file("/top").at("uid").as_int64() == 70000);
    BOOST_TEST(file("/top/sub").at("uid").as_int64() == 0);
    BOOST_TEST(file("/all").at("uid").as_int64() == 70000);
    BOOST_TEST(file("/all/sub").at("uid").as_int64() == 70000);
}

BOOST_AUTO_TEST_CASE(a_mount_is_changed_by_remount) {
    add_mount(R"({"destination": "/scratch", "type": "tmpfs", "source": "x", "options": ["size=64k", "nosuid"]})");
    add_mount(R"({"destination": "/scratch", "type": "tmpfs", "options": ["remount", "size=128k", "noexec"]})");
    add_mount(R"({"destination": "/data", "source": "data", "options": ["bind"]})");
    add_mount(R"({"destination": "/data", "options": ["bind", "remount", "ro"]})");
    look({"/data"});
    BOOST_TEST(text(mount("/scratch").at("super")).find("size=128k") != std::string::npos);
    BOOST_TEST(has_option(mount("/scratch"), "nosuid"));
    BOOST_TEST(has_option(mount("/scratch"), "noexec"));
    BOOST_TEST(file("/data").at("write").as_int64() == EROFS);
}

BOOST_AUTO_TEST_CASE(options_of_the_specification_that_are_rare) {
    add_mount(R"({"destination": "/a", "type": "tmpfs", "source": "x", "options":
                 ["nosymfollow", "sync", "dirsync", "lazytime", "silent", "loud", "mand", "noiversion", "nodiratime"]})");
    add_mount(
        R"({"destination": "/b", "type": "tmpfs", "source": "x", "options": ["iversion", "size=64k", "nosuid"]})");
    look({});
    for (const char* option : {"nosymfollow", "nodiratime"})
        BOOST_TEST(has_option(mount("/a"), option), option);
    for (const char* option : {"sync", "dirsync", "lazytime"})
        BOOST_TEST(("," + text(mount("/a").at("super")) + ",").find("," + std::string(option) + ",") !=
                       std::string::npos,
                   option);
    BOOST_TEST(text(mount("/b").at("super")).find("size=64k") != std::string::npos);
    BOOST_TEST(has_option(mount("/b"), "nosuid"));
}

BOOST_AUTO_TEST_CASE(propagation_of_the_root) {
    const std::pair<const char*, const char*> tags[] = {
        {"shared", "shared:"}, {"private", ""}, {"unbindable", "unbindable"}};
    for (const auto& [name, tag] : tags) {
        linux_part()["rootfsPropagation"] = name;
        look({});
        BOOST_TEST(text(mount("/").at("tags")).starts_with(tag), name << ": " << text(mount("/").at("tags")));
        BOOST_TEST((text(mount("/").at("tags")) == "" || *tag != '\0'), name);
    }
}

BOOST_AUTO_TEST_CASE(a_root_that_receives_the_hosts_mounts) {
    const std::string shared = path() + "/shared";
    std::filesystem::create_directories(shared);
    base::run_checked({"mount", "-t", "tmpfs", "root", shared});
    base::run_checked({"mount", "--make-shared", shared});
    std::filesystem::copy(rootfs(), shared + "/rootfs", std::filesystem::copy_options::recursive);
    config["root"] = json::parse(R"({"path": "shared/rootfs"})");
    linux_part()["rootfsPropagation"] = "slave";
    look({});
    BOOST_TEST(text(mount("/").at("tags")).starts_with("master:"), text(mount("/").at("tags")));
    linux_part()["rootfsPropagation"] = "private";
    look({});
    BOOST_TEST(text(mount("/").at("tags")) == "");
    // What a container with a shared root mounts is its own: nothing of it is left on the host.
    linux_part()["rootfsPropagation"] = "shared";
    look({});
    BOOST_TEST(text(mount("/").at("tags")).starts_with("shared:"));
    std::ifstream lines("/proc/self/mountinfo");
    int below = 0;
    for (std::string line; std::getline(lines, line);)
        below += line.find(shared) != std::string::npos ? 1 : 0;
    BOOST_TEST(below == 1);
    base::run_checked({"umount", shared});
}

// Hidden is what the path leads to inside, never anything of the host's.
BOOST_AUTO_TEST_CASE(a_masked_path_that_is_a_symlink) {
    make_file("/inside", "of the image");
    std::filesystem::create_symlink("/inside", rootfs("/link"));
    std::filesystem::create_symlink("../../../../../../../.." + path() + "/single", rootfs("/out"));
    std::filesystem::create_symlink("/proc/self/root", rootfs("/magic"));
    linux_part()["maskedPaths"] = json::parse(R"(["/link", "/out"])");
    look({"/inside"});
    BOOST_TEST(text(file("/inside").at("device")) == "1:3");
    BOOST_TEST(base::read_file(path() + "/single") == "alone");
    linux_part()["maskedPaths"] = json::parse(R"(["/magic/etc"])");
    BOOST_TEST(run_error().find("linux.maskedPaths[0]: /magic/etc: open: Too many levels of symbolic links") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(masked_and_readonly_paths) {
    make_file("/secret", "do not read");
    make_file("/hidden/file", "x");
    make_file("/fixed/file", "x");
    linux_part()["maskedPaths"] =
        json::parse(R"(["/secret", "/hidden", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/not/there"])");
    linux_part()["readonlyPaths"] = json::parse(R"(["/fixed", "/proc/sys", "/proc/irq", "/nor/this"])");
    look({"/secret", "/hidden", "/fixed", "/fixed/file", "/proc/keys", "/sys/firmware", "/proc/sys/kernel/hostname",
          "/proc/irq"});
    BOOST_TEST(text(file("/secret").at("content")) == "");
    BOOST_TEST(text(file("/secret").at("device")) == "1:3");
    BOOST_TEST(file("/hidden").at("entries").as_array().size() == 0U);
    BOOST_TEST(file("/hidden").at("write").as_int64() == EROFS);
    BOOST_TEST(text(file("/proc/keys").at("content")) == "");
    BOOST_TEST(file("/sys/firmware").at("entries").as_array().size() == 0U);
    BOOST_TEST(file("/fixed").at("write").as_int64() == EROFS);
    BOOST_TEST(file("/fixed/file").at("write").as_int64() == EROFS);
    BOOST_TEST(text(file("/fixed/file").at("content")) == "x");
    BOOST_TEST(file("/proc/sys/kernel/hostname").at("write").as_int64() == EROFS);
    BOOST_TEST(has_option(mount("/proc/irq"), "ro"));
}

BOOST_AUTO_TEST_CASE(a_readonly_root) {
    config["root"] = json::parse(R"({"path": "rootfs", "readonly": true})");
    std::filesystem::create_directories(rootfs("/proc"));
    std::filesystem::create_directories(rootfs("/sys"));
    std::filesystem::create_directories(rootfs("/dev"));
    look({"/", "/dev"});
    BOOST_TEST(file("/").at("write").as_int64() == EROFS);
    BOOST_TEST(file("/dev").at("write").as_int64() == 0);
    BOOST_TEST(!std::filesystem::exists(rootfs("/dev/null"))); // nothing was made in the image
}

BOOST_AUTO_TEST_CASE(without_pivot_root) {
    save();
    const base::RunResult result = ocirun({"run", "--no-pivot", "box"});
    BOOST_REQUIRE_MESSAGE(result.status.success(), result.errors);
    BOOST_TEST(text(json::parse(result.output).at("mounts").at("/proc").at("type")) == "proc");
}

BOOST_AUTO_TEST_CASE(the_hosts_mounts_are_not_to_be_seen) {
    look({});
    for (const auto& entry : report_.at("mounts").as_object()) {
        const std::string point(entry.key());
        BOOST_TEST(
            (point == "/" || point.starts_with("/proc") || point.starts_with("/dev") || point.starts_with("/sys")),
            point);
    }
}

BOOST_AUTO_TEST_SUITE_END()
