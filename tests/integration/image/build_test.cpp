// Builds the OS image and looks at it with other programs than ours: ostree, sgdisk, e2fsck, debugfs, mtools.
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "base/sha256.hpp"
#include "image/packages.hpp"
#include "image/signing_key.hpp"
#include "image/spec.hpp"

namespace {

namespace fs = std::filesystem;

std::string home_cache() {
    const char* directory = std::getenv("XDG_CACHE_HOME");
    const char* home = std::getenv("HOME");
    return directory != nullptr ? std::string(directory) + "/atoll"
                                : std::string(home != nullptr ? home : "/root") + "/.cache/atoll";
}

/// Made once for all cases: placeholders of the programs, a key, and a first build in first/.
class Rig {
public:
    Rig() {
        base::make_directories(bin());
        std::vector<std::string> programs = image::load_image_spec(IMAGE_YAML).programs;
        programs.emplace_back("echod");
        for (const std::string& program : programs)
            base::write_durable(bin() + "/" + program, "#!/bin/sh\necho " + program + "\n", 0755);
        base::run_checked({MKIMAGE, "keygen", key()});
        succeed(build(IMAGE_YAML, "first"));
    }

    static Rig& instance() {
        static Rig rig;
        return rig;
    }

    std::string path(const std::string& name) const { return directory_ / name; }
    std::string bin() const { return directory_ / "bin"; }
    std::string key() const { return directory_ / "key"; }
    std::vector<std::string> command(const std::string& yaml, const std::string& output) const {
        return {MKIMAGE,   "build",       yaml,    "-o",  path(output), "--bin-dir",           bin(),
                "--cache", path("cache"), "--key", key(), "--pool",     home_cache() + "/pool"};
    }
    base::RunResult build(const std::string& yaml, const std::string& output,
                          const std::vector<std::string>& more = {}) const {
        std::vector<std::string> argv = command(yaml, output);
        argv.insert(argv.end(), more.begin(), more.end());
        return base::run(argv);
    }
    static void succeed(const base::RunResult& result) {
        if (!result.status.success())
            throw base::Error("mkimage: " + result.status.describe() + ": " + result.errors);
    }
    std::string ref(const std::string& output) const {
        std::string text = base::read_file(path(output) + "/repo/refs/heads/atoll/x86_64/stable");
        text.erase(text.find_last_not_of('\n') + 1);
        return text;
    }
    std::string ostree(const std::string& output, std::vector<std::string> words) const {
        words.insert(words.begin(), {"ostree", "--repo=" + path(output) + "/repo"});
        return base::run_checked(words);
    }
    /// Where a partition begins, in bytes.
    std::string offset(const std::string& disk, int number) const {
        const std::string text = base::run_checked({"sgdisk", "--info=" + std::to_string(number), disk});
        const std::size_t at = text.find("First sector: ") + 14;
        return std::to_string(std::stoull(text.substr(at)) * 512);
    }
    std::string yaml(const std::string& name, const std::string& text) const {
        base::write_durable(path(name), "extends: " IMAGE_YAML "\n" + text);
        return path(name);
    }

private:
    base::TempDir directory_{"mkimage-test", "/var/tmp"};
};

bool empty_or_missing(const std::string& directory) {
    return !fs::exists(directory) || fs::is_empty(directory);
}

} // namespace

BOOST_AUTO_TEST_SUITE(build)

BOOST_AUTO_TEST_CASE(every_file_is_roots_and_none_is_setuid) {
    const std::string listing = Rig::instance().ostree("first", {"ls", "-R", "atoll/x86_64/stable", "/"});
    std::size_t files = 0;
    for (std::size_t at = 0; at < listing.size(); ++files) {
        const std::size_t end = listing.find('\n', at);
        const std::string line = listing.substr(at, end - at);
        at = end + 1;
        BOOST_TEST(line.substr(1, 5).starts_with("00"), line); // setuid, setgid, sticky: none
        BOOST_TEST(line.substr(6, 5) == " 0 0 ", line);
    }
    BOOST_TEST(files > 300U);
    for (const char* path :
         {"/usr/lib/atoll/image.yaml", "/usr/etc/passwd", "/usr/lib/atoll/images/echo.tar", "/usr/bin/engined",
          "/usr/etc/ssl/certs/ca-certificates.crt", "/usr/etc/ld.so.cache", "/usr/lib/os-release"})
        BOOST_TEST(listing.find(std::string(path) + "\n") != std::string::npos, path);
    BOOST_TEST(listing.find(" /etc\n") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_disk_is_sound) {
    const Rig& rig = Rig::instance();
    const std::string disk = rig.path("first/disk.raw");
    BOOST_TEST(base::run_checked({"sgdisk", "--verify", disk}).find("No problems found") != std::string::npos);
    for (const int partition : {3, 4})
        BOOST_TEST(base::run({"e2fsck", "-fn", disk + "?offset=" + rig.offset(disk, partition)}).status.success());
    const std::string esp = disk + "@@" + rig.offset(disk, 2);
    BOOST_TEST(base::run_checked({"mdir", "-b", "-/", "-i", esp, "::"}).find("BOOTX64.EFI") != std::string::npos);
    const std::string environment =
        base::run_checked({"debugfs", "-R", "cat /grub/grubenv", disk + "?offset=" + rig.offset(disk, 3)});
    BOOST_TEST(environment.size() == 1024U);
    BOOST_TEST(environment.find("\nok=" + rig.ref("first").substr(0, 16) + "\n") != std::string::npos);
    std::string sector(512, '\0');
    const base::UniqueFd fd = base::open_file(disk, O_RDONLY | O_CLOEXEC);
    BOOST_REQUIRE(::pread(fd.get(), sector.data(), sector.size(), 0) == 512);
    BOOST_TEST(sector.substr(0x66, 2) == "\x90\x90");
}

BOOST_AUTO_TEST_CASE(the_signature_is_the_keys) {
    const Rig& rig = Rig::instance();
    const std::string commit = rig.ref("first");
    const std::string objects = rig.path("first/repo/objects/" + commit.substr(0, 2) + "/" + commit.substr(2));
    const std::string object = base::read_file(objects + ".commit");
    const std::string metadata = base::read_file(objects + ".commitmeta");
    const std::string signature = image::SigningKey::load(rig.key()).sign(object);
    BOOST_TEST(metadata.find(signature) != std::string::npos);
    const std::string key = base::read_file(rig.key() + ".pub");
    BOOST_TEST(rig.ostree("first", {"cat", "atoll/x86_64/stable", "/usr/share/ostree/trusted.ed25519.d/atoll"}) == key);
}

BOOST_AUTO_TEST_CASE(a_user_namespace_and_an_empty_cache_give_the_same_commit) {
    const Rig& rig = Rig::instance();
    std::vector<std::string> argv = rig.command(IMAGE_YAML, "again");
    *std::find(argv.begin(), argv.end(), rig.path("cache")) = rig.path("other-cache");
    argv.insert(argv.begin(), {"unshare", "--user", "--map-root-user"});
    Rig::succeed(base::run(argv));
    BOOST_TEST(rig.ref("again") == rig.ref("first"));
}

BOOST_AUTO_TEST_CASE(a_second_version_joins_the_repository) {
    const Rig& rig = Rig::instance();
    Rig::succeed(rig.build(IMAGE_YAML, "served", {"--no-disk"}));
    BOOST_TEST(rig.ref("served") == rig.ref("first")); // the disk changes nothing in the commit
    const std::string variant =
        rig.yaml("variant.yaml", "files: [{target: /usr/bin/engined, text: broken, mode: \"0755\"}]\n"
                                 "remove: [/usr/lib/atoll/services/echo.yaml]\n");
    Rig::succeed(rig.build(variant, "served", {"--no-disk", "--version", "2"}));
    BOOST_TEST(rig.ref("served") != rig.ref("first"));
    BOOST_TEST(!fs::exists(rig.path("served/disk.raw")));
    BOOST_TEST(rig.ostree("served", {"cat", "atoll/x86_64/stable", "/usr/bin/engined"}) == "broken");
    BOOST_TEST(rig.ostree("served", {"ls", rig.ref("first"), "/usr/lib/atoll/services/echo.yaml"}).size() > 0U);
    BOOST_TEST(rig.ostree("served", {"ls", "atoll/x86_64/stable", "/usr/lib/atoll/services"}).find("echo.yaml") ==
               std::string::npos);
    rig.ostree("served", {"fsck", "--quiet"});
}

BOOST_AUTO_TEST_CASE(failures_are_named_and_leave_nothing) {
    const Rig& rig = Rig::instance();
    const auto fails = [&](const std::string& yaml, const std::string& text,
                           const std::vector<std::string>& more = {}) {
        const base::RunResult result = rig.build(yaml, "failed", more);
        BOOST_TEST(result.status.code == 1);
        BOOST_TEST(result.errors.find(text) != std::string::npos, result.errors);
        BOOST_TEST(empty_or_missing(rig.path("failed")));
    };
    fails(rig.yaml("a.yaml", "programs: [nonesuch]\n"), "program nonesuch");
    fails(rig.yaml("b.yaml", "packages: [nonesuch]\n"), "package nonesuch is not locked");
    fails(rig.yaml("c.yaml", "pakages: [x]\n"), "c.yaml:2:1: ");
    fails(rig.yaml("d.yaml", "drop: [/usr/lib/x86_64-linux-gnu/libsqlite3.so.*]\nfiles: [{source: " +
                                 fs::canonical("/proc/self/exe").string() + ", target: /usr/bin/x}]\n"),
          "which is not in the tree");
    fails(rig.yaml("e.yaml", "kernel: {load: [nonesuch]}\n"), "kernel module nonesuch");
    fails(rig.yaml("f.yaml", "remove: [/usr/nonesuch]\n"), "/usr/nonesuch: not in the tree");
}

BOOST_AUTO_TEST_CASE(a_changed_package_is_refused) {
    const Rig& rig = Rig::instance();
    base::run_checked({"cp", "-r", home_cache() + "/pool", rig.path("bad-pool")});
    const image::Lock lock = image::load_lock(image::load_image_spec(IMAGE_YAML).base.lock_path);
    const std::string package = image::PackagePool(rig.path("bad-pool")).path_of(*lock.find("zlib1g"));
    std::string content = base::read_file(package);
    content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 1);
    base::write_durable(package, content);
    std::vector<std::string> argv = rig.command(IMAGE_YAML, "failed");
    *std::find(argv.begin(), argv.end(), rig.path("cache")) = rig.path("bad-cache");
    *std::find(argv.begin(), argv.end(), home_cache() + "/pool") = rig.path("bad-pool");
    const base::RunResult result = base::run(argv);
    BOOST_TEST(result.status.code == 1);
    BOOST_TEST(result.errors.find(package + ": digest ") != std::string::npos, result.errors);
    BOOST_TEST(empty_or_missing(rig.path("failed")));
}

BOOST_AUTO_TEST_CASE(no_space_leaves_nothing) {
    const Rig& rig = Rig::instance();
    const std::string small = rig.path("small");
    base::make_directories(small);
    std::string build;
    for (const std::string& word : rig.command(IMAGE_YAML, "small/out"))
        build += " '" + word + "'";
    // Enough for the staging directory to begin, not for the disk.
    const base::RunResult result = base::run({"unshare", "--mount", "sh", "-c",
                                              "mount -t tmpfs -o size=40m none '" + small + "' || exit 9;" + build +
                                                  "; code=$?; ls -A '" + small + "/out'; exit $code"});
    BOOST_TEST(result.status.code == 1);
    BOOST_TEST(result.errors.find("No space left on device") != std::string::npos, result.errors);
    BOOST_TEST(result.output.empty(), result.output);
}

BOOST_AUTO_TEST_SUITE_END()
