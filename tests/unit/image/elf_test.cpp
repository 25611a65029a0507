#include <elf.h>

#include <algorithm>

#include <boost/test/unit_test.hpp>

#include "base/files.hpp"
#include "base/process.hpp"
#include "image/elf.hpp"
#include "image/tree.hpp"
#include "test_files.hpp"

namespace {

std::string own_program() {
    return base::read_file("/proc/self/exe", 1 << 30);
}

bool contains(const std::vector<std::string>& list, const std::string& text) {
    return std::any_of(list.begin(), list.end(),
                       [&](const std::string& one) { return one.find(text) != std::string::npos; });
}

} // namespace

BOOST_AUTO_TEST_SUITE(elf)

BOOST_AUTO_TEST_CASE(own_program_is_read) {
    const auto file = image::parse_elf(own_program(), "self");
    BOOST_REQUIRE(file.has_value());
    BOOST_TEST(file->interpreter == "/lib64/ld-linux-x86-64.so.2");
    BOOST_TEST(contains(file->needed, "libc.so.6"));
    BOOST_TEST(contains(file->needed, "libostree-1.so.1"));
}

BOOST_AUTO_TEST_CASE(others_are_nothing) {
    BOOST_TEST(!image::parse_elf("", "x").has_value());
    BOOST_TEST(!image::parse_elf("#!/bin/sh\n", "x").has_value());
    std::string object = own_program();
    object[EI_NIDENT] = ET_REL; // a kernel module
    BOOST_TEST(!image::parse_elf(object, "x").has_value());
}

BOOST_AUTO_TEST_CASE(cut_files_are_an_error_and_never_a_crash) {
    const std::string whole = own_program();
    for (const std::size_t size : {5UL, 63UL, 64UL, 100UL, 500UL, 4096UL})
        BOOST_TEST(message_of([&] { image::parse_elf(whole.substr(0, size), "cut"); }) ==
                   "cut: ELF file is cut short or broken");
}

BOOST_AUTO_TEST_CASE(a_missing_library_is_named) {
    const base::TempDir directory;
    const image::Tree tree(directory.path());
    tree.make_merged_usr();
    tree.copy_file("/proc/self/exe", "usr/bin/program", 0755);
    tree.write("usr/bin/script", "#!/bin/sh\n", 0755);
    const std::vector<std::string> missing = image::find_missing_libraries(tree.root());
    BOOST_TEST(contains(missing, "/usr/bin/program needs libostree-1.so.1, which is not in the tree"));
    BOOST_TEST(contains(missing, "/usr/bin/program needs /lib64/ld-linux-x86-64.so.2"));
    BOOST_TEST(!contains(missing, "script"));

    // A symlink that leads out of the tree on the build host is inside it at run time.
    tree.symlink("usr/lib/x86_64-linux-gnu/libostree-1.so.1", "/usr/lib/real.so");
    BOOST_TEST(contains(image::find_missing_libraries(tree.root()), "libostree-1.so.1"));
    tree.write("usr/lib/real.so", "not ELF");
    BOOST_TEST(!contains(image::find_missing_libraries(tree.root()), "libostree-1.so.1"));
}

BOOST_AUTO_TEST_SUITE_END()
