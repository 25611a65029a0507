#include "updater/boot_repair.hpp"

#include <boost/test/unit_test.hpp>

#include <filesystem>

#include "base/files.hpp"

using namespace updater;
namespace fs = std::filesystem;

namespace {

/// A sysroot with deployment abc.0 (booted) and def.0, as libostree leaves it.
struct Disk {
    base::TempDir directory{"boot-repair"};
    Paths paths = Paths::below(directory.path());
    std::string ostree = directory / "ostree";

    Disk() {
        for (const char* name : {"abc.0", "def.0"})
            fs::create_directories(ostree + "/deploy/atoll/deploy/" + name);
        base::write_durable(ostree + "/deploy/atoll/deploy/abc.0.origin", "[atoll]\nrevision=00aa\n");
        base::write_durable(ostree + "/deploy/atoll/deploy/def.0.origin", "[atoll]\nrevision=00bb\n");
        fs::create_directories(ostree + "/boot.1.1/atoll/sum");
        fs::create_directory_symlink("boot.1.1", ostree + "/boot.1");
        fs::create_directory_symlink("../../../deploy/atoll/deploy/abc.0", ostree + "/boot.1.1/atoll/sum/0");
        fs::create_directory_symlink("../../../deploy/atoll/deploy/def.0", ostree + "/boot.1.1/atoll/sum/1");
        fs::create_directories(paths.boot + "/loader.1/entries");
        fs::create_directory_symlink("loader.1", paths.boot + "/loader");
        write_entry("loader.1", 2, "0", "00aa");
        write_entry("loader.1", 1, "1", "00bb");
    }
    void write_entry(const std::string& loader, int number, const std::string& serial, const std::string& revision) {
        base::make_directories(paths.boot + "/" + loader + "/entries");
        base::write_durable(fmt::format("{}/{}/entries/ostree-{}-atoll.conf", paths.boot, loader, number),
                            fmt::format("title Atoll\nversion {}\noptions quiet ostree=/ostree/boot.1/atoll/sum/{} "
                                        "atoll.rev={}\nlinux /ostree/vmlinuz\ninitrd /ostree/initramfs\n",
                                        number, serial, revision));
    }
    std::string target(const std::string& serial) const {
        return fs::canonical(ostree + "/boot.1/atoll/sum/" + serial).filename();
    }
    std::vector<std::string> repair(const std::string& booted = "00aa") const { return repair_boot(paths, booted); }
};

} // namespace

BOOST_AUTO_TEST_SUITE(updater_boot_repair)

BOOST_AUTO_TEST_CASE(what_is_whole_is_not_touched) {
    const Disk disk;
    BOOST_TEST(disk.repair().empty());
}

BOOST_AUTO_TEST_CASE(a_loader_that_leads_nowhere) {
    Disk disk;
    disk.write_entry("loader.0", 1, "0", "00cc"); // an older state: without the booted revision
    for (const char* nowhere : {"loader.9", ""}) {
        fs::remove(disk.paths.boot + "/loader");
        if (*nowhere != 0)
            fs::create_symlink(nowhere, disk.paths.boot + "/loader");
        BOOST_TEST(disk.repair().size() == 1U);
        BOOST_TEST(fs::read_symlink(disk.paths.boot + "/loader") == "loader.1");
    }
    fs::remove(disk.paths.boot + "/loader");
    disk.repair("00cc");
    BOOST_TEST(fs::read_symlink(disk.paths.boot + "/loader") == "loader.0");
}

BOOST_AUTO_TEST_CASE(damaged_entries_are_put_aside) {
    const Disk disk;
    const std::string entries = disk.paths.boot + "/loader/entries/";
    base::write_durable(entries + "ostree-2-atoll.conf", std::string(300, '\0'));
    BOOST_TEST(disk.repair().size() == 1U);
    BOOST_TEST(fs::exists(entries + "damaged-ostree-2-atoll.conf"));
    BOOST_TEST(!fs::exists(entries + "ostree-2-atoll.conf"));
    // The last one stays, readable or not.
    base::write_durable(entries + "ostree-1-atoll.conf", "rubbish");
    BOOST_TEST(disk.repair().empty());
    BOOST_TEST(fs::exists(entries + "ostree-1-atoll.conf"));
}

BOOST_AUTO_TEST_CASE(links_to_deployments) {
    const Disk disk;
    fs::remove(disk.ostree + "/boot.1");
    BOOST_TEST(disk.repair().size() == 1U); // the directory behind it is still there
    BOOST_TEST(disk.target("0") == "abc.0");
    fs::remove_all(disk.ostree + "/boot.1.1");
    BOOST_TEST(disk.repair().size() == 2U);
    BOOST_TEST(disk.target("0") == "abc.0");
    BOOST_TEST(disk.target("1") == "def.0");
    fs::remove(disk.ostree + "/boot.1/atoll/sum/1");
    fs::create_symlink("nowhere", disk.ostree + "/boot.1/atoll/sum/1");
    BOOST_TEST(disk.repair().size() == 1U);
    BOOST_TEST(disk.target("1") == "def.0");
    BOOST_TEST(disk.repair().empty());
}

BOOST_AUTO_TEST_CASE(what_cannot_be_mended_is_left) {
    Disk disk;
    fs::remove_all(disk.ostree + "/boot.1.1");
    fs::remove(disk.ostree + "/deploy/atoll/deploy/abc.0.origin");
    BOOST_TEST(disk.repair().size() == 1U); // one entry's deployment is not known, the other's is
    BOOST_TEST(disk.target("1") == "def.0");
    disk.write_entry("loader.1", 2, "../../../../../etc", "00bb");
    BOOST_TEST(disk.repair().empty());
    fs::remove_all(disk.paths.boot);
    BOOST_TEST(disk.repair().empty());
}

BOOST_AUTO_TEST_CASE(entries) {
    BOOST_TEST(BootEntry::parse("version 1\nlinux /a\ninitrd /b\noptions ostree=/x\n").has_value());
    for (const char* bad :
         {"", "version 1\nlinux /a\ninitrd /b\n", "version 1\nlinux /a\ninitrd /b\noptions quiet\n",
          "linux /a\ninitrd /b\noptions ostree=/x\n", "version 1\nlinux /a\nlinux /b\ninitrd /b\noptions ostree=/x\n"})
        BOOST_TEST(!BootEntry::parse(bad).has_value(), bad);
}

BOOST_AUTO_TEST_SUITE_END()
