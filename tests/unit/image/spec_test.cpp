#include <boost/test/unit_test.hpp>

#include "base/files.hpp"
#include "image/spec.hpp"
#include "test_files.hpp"

using image::ImageSpec;

namespace {

/// A directory with an image YAML that is right, and what its rules name.
class SpecFiles {
public:
    SpecFiles() {
        base::make_directories(directory_ / "boot");
        base::write_durable(directory_ / "extra", "x");
        write("base.yaml",
              "name: atoll\nversion: 1\nref: atoll/x86_64/stable\nlock: a.lock\npackages: [one]\n"
              "kernel: {modules: [m], load: [l], initramfs: [i]}\nkernel_arguments: [quiet]\nprograms: [init]\n"
              "disk: {size: 1GiB, boot_files: boot}\n");
    }
    std::string write(const std::string& name, const std::string& text) const {
        base::write_durable(directory_ / name, text);
        return directory_ / name;
    }
    ImageSpec load(const std::string& name) const { return image::load_image_spec(directory_ / name); }
    /// The problems of base.yaml with `text` after it, without the directory's name.
    std::string problems(const std::string& text) const {
        const std::string path = write("bad.yaml", "extends: base.yaml\n" + text);
        std::string message = message_of([&] { image::load_image_spec(path); });
        for (std::size_t at = 0; (at = message.find(directory_.path() + "/")) != std::string::npos;)
            message.erase(at, directory_.path().size() + 1);
        return message;
    }
    const base::TempDir& directory() const { return directory_; }

private:
    base::TempDir directory_;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(spec, SpecFiles)

BOOST_AUTO_TEST_CASE(paths_are_beside_the_file) {
    const ImageSpec spec = load("base.yaml");
    BOOST_TEST(spec.base.lock_path == directory() / "a.lock");
    BOOST_TEST(spec.disk.boot_files == directory() / "boot");
    BOOST_TEST(spec.disk.size == 1ULL << 30);
    BOOST_TEST(spec.version == "1");
}

BOOST_AUTO_TEST_CASE(a_variant_appends_lists_and_replaces_values) {
    write("child.yaml", "extends: base.yaml\nversion: \"2\"\npackages: [two]\nkernel_arguments: [panic=10]\n"
                        "kernel: {load: [l2]}\nremove: [/etc/x]\ndisk: {size: 2GiB}\n"
                        "files: [{source: extra, target: /usr/lib/extra}, {text: hi, target: /etc/y, mode: \"0600\"},\n"
                        "        {link: ../x, target: /usr/z}, {program: init, target: /usr/bin/other}]\n");
    write("grandchild.yaml", "extends: child.yaml\ntimestamp: 5\n");
    const ImageSpec spec = load("grandchild.yaml");
    BOOST_TEST(spec.name == "atoll");
    BOOST_TEST(spec.version == "2");
    BOOST_TEST(spec.base.packages == (std::vector<std::string>{"one", "two"}), boost::test_tools::per_element());
    BOOST_TEST(spec.base.loaded_modules == (std::vector<std::string>{"l", "l2"}), boost::test_tools::per_element());
    BOOST_TEST(spec.kernel_arguments == (std::vector<std::string>{"quiet", "panic=10"}),
               boost::test_tools::per_element());
    BOOST_TEST(spec.remove == std::vector<std::string>{"etc/x"}, boost::test_tools::per_element());
    BOOST_TEST(spec.disk.size == 2ULL << 30);
    BOOST_TEST(spec.disk.boot_files == directory() / "boot");
    BOOST_TEST((spec.timestamp == 5));
    BOOST_REQUIRE(spec.files.size() == 4U);
    BOOST_TEST(spec.files[0].source == directory() / "extra");
    BOOST_TEST((spec.files[1].kind == image::FileRule::Kind::text));
    BOOST_TEST((spec.files[1].mode == 0600U));
    BOOST_TEST((spec.files[2].kind == image::FileRule::Kind::symlink));
    BOOST_TEST((spec.files[3].kind == image::FileRule::Kind::program));
}

BOOST_AUTO_TEST_CASE(problems_have_file_line_and_column) {
    BOOST_TEST(problems("pakages: [x]\n").starts_with("bad.yaml:2:1: "));
    BOOST_TEST(problems("pakages: [x]\n").find("pakages") != std::string::npos);
    BOOST_TEST(problems("files:\n  - {source: nowhere, target: /x}\n")
                   .find("bad.yaml:3:5: files[0]: source: no such file: nowhere") != std::string::npos);
    BOOST_TEST(
        problems("files:\n  - {text: a, link: b, target: /x}\n").find("exactly one of source, program, text, link") !=
        std::string::npos);
    BOOST_TEST(problems("files:\n  - {text: a, target: /x/../y}\n").find("\"..\" is not allowed") != std::string::npos);
    BOOST_TEST(problems("files:\n  - {text: a, target: /x, mode: \"4755\"}\n").find("no setuid files") !=
               std::string::npos);
    BOOST_TEST(problems("files:\n  - {text: a, target: /}\n").find("only a directory can be put at /") !=
               std::string::npos);
    BOOST_TEST(problems("files:\n  - {program: a/b, target: /x}\n").find("expected a name, not a path") !=
               std::string::npos);
    BOOST_TEST(problems("version: \"a b\"\n").find("version: ") != std::string::npos);
    BOOST_TEST(problems("name: Atoll\n").find("name: ") != std::string::npos);
    BOOST_TEST(problems("ref: ../x\n").find("ref: ") != std::string::npos);
    BOOST_TEST(problems("disk: {size: 100MiB}\n").find("bad.yaml:2:7: disk: too small") != std::string::npos);
    BOOST_TEST(problems("stub_libraries: [{name: \"lib x.so\", symbols: [\"a;b\"]}]\n").find("is not a symbol") !=
               std::string::npos);
    BOOST_TEST(problems("trusted_keys: [none]\n").find("no such file") != std::string::npos);
    BOOST_TEST(problems("[").starts_with("bad.yaml:2:"));
}

BOOST_AUTO_TEST_CASE(arguments_that_grub_would_take_for_a_script_are_refused) {
    for (const char* argument :
         {"a;reboot", "a b", "$x", "a&b", "a|b", "a<b", "a>b", "{", "'a", "\"\\\"\"", "\"a\\nb\"", "\"a#b\""})
        BOOST_TEST(problems("kernel_arguments: [\"" + std::string(argument[0] == '"' ? argument + 1 : argument) +
                            (argument[0] == '"' ? "]\n" : "\"]\n"))
                           .find("kernel_arguments: ") != std::string::npos,
                   argument);
    BOOST_TEST(problems("kernel_arguments: [\"console=ttyS0,115200\", \"a.b_c=1-2/3:4\"]\n").empty());
}

BOOST_AUTO_TEST_CASE(a_file_that_extends_itself_ends) {
    write("loop.yaml", "extends: loop.yaml\n");
    BOOST_TEST(message_of([&] { load("loop.yaml"); }).find("does it extend itself?") != std::string::npos);
    BOOST_TEST(message_of([&] { load("missing.yaml"); }).find("missing.yaml") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(containers) {
    const std::string path =
        write("c.yaml", "name: busybox:1\nlock: b.lock\npackages: [busybox-static]\ncommand: [sh]\n"
                        "links: [{target: busybox, directory: /bin, names: [sh, ls]}]\n");
    const image::ContainerSpec spec = image::load_container_spec(path);
    BOOST_TEST(spec.name == "busybox:1");
    BOOST_TEST(spec.links.at(0).directory == "bin");
    const std::string bad =
        write("c.yaml", "name: x:1\npackages: [a]\nlinks: [{target: b, directory: /bin, names: [a/b]}]\n");
    const std::string message = message_of([&] { image::load_container_spec(bad); });
    BOOST_TEST(message.find("command") != std::string::npos, message);
    BOOST_TEST(message.find("lock: missing") != std::string::npos, message);
    BOOST_TEST(message.find("\"a/b\" is not a file name") != std::string::npos, message);
}

BOOST_AUTO_TEST_SUITE_END()
