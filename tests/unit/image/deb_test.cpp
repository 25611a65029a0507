// Packages made with dpkg-deb, and hostile ones made by hand.
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>

#include "base/files.hpp"
#include "base/process.hpp"
#include "image/packages.hpp"
#include "test_files.hpp"

using image::Tree;

namespace {

/// Tars of one entry each, joined with `ar` into a .deb: what dpkg-deb would refuse to make.
std::string hostile_package(const base::TempDir& directory, const std::string& path, unsigned type,
                            const std::string& link) {
    archive* writer = archive_write_new();
    archive_write_set_format_gnutar(writer);
    const std::string data = directory / "data.tar";
    BOOST_REQUIRE(archive_write_open_filename(writer, data.c_str()) == ARCHIVE_OK);
    const auto add = [&](const std::string& name, unsigned kind, const std::string& target) {
        archive_entry* entry = archive_entry_new();
        archive_entry_set_pathname(entry, name.c_str());
        archive_entry_set_mode(entry, kind | 0755);
        if (!target.empty())
            archive_entry_set_symlink(entry, target.c_str());
        archive_write_header(writer, entry);
        archive_entry_free(entry);
    };
    add(path, type, link);
    if (!link.empty())
        add(path + "/below", AE_IFREG, {});
    archive_write_free(writer);
    base::write_durable(directory / "debian-binary", "2.0\n");
    base::RunOptions options;
    options.spawn.directory = directory.path();
    base::run_checked({"ar", "rc", "hostile.deb", "debian-binary", "data.tar"}, options);
    return directory / "hostile.deb";
}

/// Unpacks a file as the package "p".
std::string unpack(const std::string& deb, const base::TempDir& directory, const image::BaseSpec& spec = {}) {
    const std::string root = directory / "tree";
    base::make_directories(root);
    const Tree tree(root);
    tree.make_merged_usr();
    const image::LockedPackage package{"p", "1", "amd64", std::string(64, 'a'), 1, "pool/p.deb"};
    base::run_checked({"cp", deb, directory / package.pool_name()});
    return message_of(
        [&] { image::unpack_packages({package}, image::PackagePool(directory.path()), spec, true, tree); });
}

} // namespace

BOOST_AUTO_TEST_SUITE(deb)

BOOST_AUTO_TEST_CASE(a_package_is_unpacked_into_the_os_layout) {
    const base::TempDir directory;
    const std::string source = directory / "source";
    for (const char* name : {"DEBIAN", "bin", "etc", "usr/share/doc/p", "usr/lib/p"})
        base::make_directories(source + "/" + name);
    base::write_durable(source + "/DEBIAN/control",
                        "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n");
    base::write_durable(source + "/bin/tool", std::string(700000, 't'), 0755);
    base::write_durable(source + "/etc/conf", "c", 0600);
    base::write_durable(source + "/usr/share/doc/p/readme", "d");
    base::write_durable(source + "/usr/share/doc/p/copyright", "d");
    BOOST_REQUIRE(::symlink("../../../bin/tool", (source + "/usr/lib/p/link").c_str()) == 0);
    BOOST_REQUIRE(::link((source + "/bin/tool").c_str(), (source + "/bin/zz-hard").c_str()) == 0);
    BOOST_REQUIRE(::chmod((source + "/bin/tool").c_str(), 06755) == 0);
    base::run_checked({"dpkg-deb", "--root-owner-group", "-Zxz", "-b", source, directory / "p.deb"});

    image::BaseSpec spec;
    spec.drop = {"/usr/share/doc"};
    spec.keep = {"/usr/share/doc/*/copyright"};
    BOOST_TEST(unpack(directory / "p.deb", directory, spec) == "");
    const Tree tree(directory / "tree");
    BOOST_TEST(base::read_file(tree.host_path("usr/bin/tool")) == std::string(700000, 't'));
    struct stat tool {
    }, hard{}, conf{};
    BOOST_REQUIRE(::stat(tree.host_path("usr/bin/tool").c_str(), &tool) == 0);
    BOOST_REQUIRE(::stat(tree.host_path("usr/bin/zz-hard").c_str(), &hard) == 0);
    BOOST_REQUIRE(::stat(tree.host_path("usr/etc/conf").c_str(), &conf) == 0);
    BOOST_TEST((tool.st_mode & 07777) == 0755U); // setuid is gone
    BOOST_TEST((conf.st_mode & 07777) == 0644U);
    BOOST_TEST(tool.st_ino == hard.st_ino);
    BOOST_TEST(!tree.exists("etc"));
    BOOST_TEST(!tree.exists("usr/share/doc/p/readme"));
    BOOST_TEST(tree.exists("usr/share/doc/p/copyright"));
}

BOOST_AUTO_TEST_CASE(nothing_is_written_outside_the_tree) {
    {
        const base::TempDir directory;
        BOOST_TEST(unpack(hostile_package(directory, "../../escaped", AE_IFREG, {}), directory)
                       .find("\"..\" is not allowed") != std::string::npos);
    }
    {
        const base::TempDir directory;
        const base::TempDir outside;
        BOOST_TEST(!unpack(hostile_package(directory, "usr/lib/x", AE_IFLNK, outside.path()), directory).empty());
        BOOST_TEST(::access((outside / "below").c_str(), F_OK) != 0);
    }
    {
        const base::TempDir directory;
        BOOST_TEST(unpack(hostile_package(directory, "dev/null", AE_IFIFO, {}), directory)
                       .find("neither file, directory nor link") != std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(what_is_no_package_is_named) {
    const base::TempDir directory;
    base::write_durable(directory / "x.deb", "!<arch>\n");
    BOOST_TEST(unpack(directory / "x.deb", directory).find("not a Debian package") != std::string::npos);
    const base::TempDir other;
    base::write_durable(other / "x.deb", "nonsense");
    BOOST_TEST(unpack(other / "x.deb", other).find("p_1_amd64.deb") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
