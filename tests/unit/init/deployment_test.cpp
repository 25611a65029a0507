#include "deployment.hpp"

#include <boost/test/unit_test.hpp>

#include <filesystem>

#include "base/files.hpp"

namespace fs = std::filesystem;

namespace {

struct Sysroot {
    base::TempDir directory;
    std::string root = fs::canonical(directory.path());

    Sysroot() {
        fs::create_directories(root + "/ostree/deploy/atoll/deploy/abc.0/usr");
        fs::create_directories(root + "/ostree/boot.1.1/atoll/csum");
        fs::create_directory_symlink("boot.1.1", root + "/ostree/boot.1");
        link("0", "../../../deploy/atoll/deploy/abc.0");
    }
    void link(const std::string& name, const std::string& target) const {
        fs::create_directory_symlink(target, root + "/ostree/boot.1.1/atoll/csum/" + name);
    }
    int resolve(const std::string& argument, init::Path& path) const {
        return init::resolve_deployment(root.c_str(), argument.c_str(), path);
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(deployment)

BOOST_AUTO_TEST_CASE(follows_the_links_of_ostree) {
    const Sysroot sysroot;
    init::Path path;
    BOOST_TEST(sysroot.resolve("/ostree/boot.1/atoll/csum/0", path) == 0);
    BOOST_TEST(path.view() == sysroot.root + "/ostree/deploy/atoll/deploy/abc.0");
}

BOOST_AUTO_TEST_CASE(what_is_missing_is_an_error) {
    const Sysroot sysroot;
    init::Path path;
    BOOST_TEST(sysroot.resolve("/ostree/boot.0/atoll/csum/0", path) == ENOENT);
    sysroot.link("1", "../../../deploy/atoll/deploy/gone.0");
    BOOST_TEST(sysroot.resolve("/ostree/boot.1/atoll/csum/1", path) == ENOENT);
    BOOST_TEST(init::resolve_deployment("/nowhere", "/x", path) == ENOENT);
}

BOOST_AUTO_TEST_CASE(only_a_deployment_is_one) {
    const Sysroot sysroot;
    init::Path path;
    sysroot.link("2", "../../../deploy/atoll");
    sysroot.link("3", "../../../deploy/atoll/deploy/abc.0/usr");
    sysroot.link("4", "../../../../../../../../../../etc"); // ".." above the root stays in it
    sysroot.link("5", "/etc");                              // absolute: below the sysroot
    for (const char* name : {"2", "3"})
        BOOST_TEST(sysroot.resolve(std::string("/ostree/boot.1/atoll/csum/") + name, path) == ENOTDIR, name);
    for (const char* name : {"4", "5"})
        BOOST_TEST(sysroot.resolve(std::string("/ostree/boot.1/atoll/csum/") + name, path) == ENOENT, name);
    BOOST_TEST(sysroot.resolve("/", path) == ENOTDIR);
}

BOOST_AUTO_TEST_CASE(without_its_links_it_is_found_by_its_revision) {
    const Sysroot sysroot;
    const std::string deploy = sysroot.root + "/ostree/deploy/atoll/deploy/";
    base::write_durable(deploy + "abc.0.origin", "[origin]\nrefspec=x\n\n[atoll]\nrevision=00000000000000aa\n");
    base::write_durable(deploy + "gone.0.origin", "[atoll]\nrevision=00000000000000bb\n");
    fs::create_symlink("abc.0.origin", deploy + "link.0.origin");
    init::Path path;
    BOOST_TEST(init::find_deployment_by_revision(sysroot.root.c_str(), "00000000000000aa", path));
    BOOST_TEST(path.view() == deploy + "abc.0");
    // The directory is gone, there is no such revision, no revision at all, no sysroot.
    for (const char* revision : {"00000000000000bb", "00000000000000a", "x", ""})
        BOOST_TEST(!init::find_deployment_by_revision(sysroot.root.c_str(), revision, path), revision);
    BOOST_TEST(!init::find_deployment_by_revision("/nowhere", "00000000000000aa", path));
}

BOOST_AUTO_TEST_CASE(factory_var_is_taken_by_its_revision_only) {
    const Sysroot sysroot;
    const std::string stateroot = sysroot.root + "/ostree/deploy/atoll";
    const init::Path path(stateroot);
    const std::string fresh = stateroot + "/var.reset-00000000000000aa";
    fs::create_directories(stateroot + "/var/lib/data");
    fs::create_directories(fresh + "/tmp");
    init::take_factory_var(path, "00000000000000bb");
    init::take_factory_var(path, "");
    init::take_factory_var(path, "../x");
    BOOST_TEST(fs::exists(stateroot + "/var/lib/data"));
    // Cut between the two renames.
    fs::rename(stateroot + "/var", stateroot + "/var.old-00000000000000aa");
    init::take_factory_var(path, "00000000000000aa");
    BOOST_TEST(fs::exists(stateroot + "/var/tmp"));
    BOOST_TEST(fs::exists(stateroot + "/var.old-00000000000000aa/lib/data"));
    BOOST_TEST(!fs::exists(fresh));
    init::take_factory_var(path, "00000000000000aa"); // the next boot
    BOOST_TEST(fs::exists(stateroot + "/var/tmp"));
}

BOOST_AUTO_TEST_CASE(var_before_a_failed_reset_comes_back) {
    const Sysroot sysroot;
    const std::string stateroot = sysroot.root + "/ostree/deploy/atoll";
    const init::Path path(stateroot);
    const std::string fresh = stateroot + "/var.reset-00000000000000aa";
    const std::string old = stateroot + "/var.old-00000000000000aa";
    const auto reset = [&] {
        fs::remove_all(stateroot + "/var");
        fs::create_directories(stateroot + "/var/lib/data");
        fs::create_directories(fresh + "/tmp");
        init::take_factory_var(path, "00000000000000aa");
        BOOST_TEST(fs::exists(stateroot + "/var/tmp"));
    };
    reset();
    init::restore_var(path, "00000000000000aa"); // the reset itself, found good
    init::restore_var(path, "");
    BOOST_TEST(fs::exists(stateroot + "/var/tmp"));
    init::restore_var(path, "00000000000000bb");
    BOOST_TEST(fs::exists(stateroot + "/var/lib/data"));
    BOOST_TEST(fs::exists(fresh + "/tmp"));
    BOOST_TEST(!fs::exists(old));
    init::restore_var(path, "00000000000000bb"); // the next boot
    BOOST_TEST(fs::exists(stateroot + "/var/lib/data"));
    // The one that failed is booted once more: the same again.
    init::take_factory_var(path, "00000000000000aa");
    BOOST_TEST(fs::exists(stateroot + "/var/tmp"));
    BOOST_TEST(fs::exists(old + "/lib/data"));
    // Cut between the two renames.
    fs::rename(stateroot + "/var", fresh);
    init::restore_var(path, "00000000000000bb");
    BOOST_TEST(fs::exists(stateroot + "/var/lib/data"));
    // Both there: nothing is replaced.
    fs::create_directories(old + "/kept");
    fs::create_directories(fresh + "/kept");
    init::restore_var(path, "00000000000000bb");
    BOOST_TEST(fs::exists(old + "/kept"));
    BOOST_TEST(fs::exists(stateroot + "/var/lib/data"));
}

BOOST_AUTO_TEST_SUITE_END()
