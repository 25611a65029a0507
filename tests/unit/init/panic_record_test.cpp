#include "panic_record.hpp"

#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <string>

#include "base/files.hpp"

BOOST_AUTO_TEST_SUITE(panic_record)

BOOST_AUTO_TEST_CASE(the_end_of_the_newest_dump_is_kept_and_the_store_emptied) {
    const base::TempDir store("pstore");
    const base::TempDir target("target");
    std::string lines;
    for (int line = 0; line < 60; ++line)
        lines += "<4>[ 1.0] line " + std::to_string(line) + "\n";
    base::write_durable(store / "dmesg-efi_pstore-170000000001001", "Panic#1 Part1\n<0>an older one\n");
    base::write_durable(store / "dmesg-efi_pstore-180000000002001", "Panic#2 Part2\n<0>Kernel panic - not syncing: rig\n<4>x\n");
    base::write_durable(store / "dmesg-efi_pstore-180000000001001", "Panic#2 Part1\n" + lines);
    base::write_durable(store / "console-efi_pstore-1", "not a dump\n");
    BOOST_TEST(init::holds_panic(store.path().c_str()));
    init::keep_panic(store.path().c_str(), (target / "last-panic").c_str());
    BOOST_TEST(!init::holds_panic(store.path().c_str()));
    const std::string kept = base::read_file(target / "last-panic");
    BOOST_TEST(kept.starts_with("<0>Kernel panic - not syncing: rig\n<4>[ 1.0] line 20\n"));
    BOOST_TEST(kept.ends_with("line 59\n"));
    const auto left = std::distance(std::filesystem::directory_iterator(store.path()), {});
    BOOST_TEST(left == 1);
}

BOOST_AUTO_TEST_CASE(nothing_there_changes_nothing) {
    const base::TempDir directory("pstore");
    init::keep_panic((directory / "none").c_str(), (directory / "last-panic").c_str());
    init::keep_panic(directory.path().c_str(), (directory / "last-panic").c_str());
    BOOST_TEST(!std::filesystem::exists(directory / "last-panic"));
}

BOOST_AUTO_TEST_CASE(only_part_1_is_the_end) {
    BOOST_TEST(init::last_part("Panic#1 Part1\na\nb") == "a\nb");
    BOOST_TEST(init::last_part("Oops#1 Part1\na\n") == "a\n");
    for (const char* other :
         {"", "Panic#1 Part2\na\n", "Panic#1 Part1", "Emergency#1 Part1\na\n", "a\nPanic#1 Part1\n"})
        BOOST_TEST(init::last_part(other).empty(), other);
    BOOST_TEST(init::last_lines("a\nb\nc", 2) == "b\nc");
    BOOST_TEST(init::last_lines("a\nb\n", 5) == "a\nb\n");
    BOOST_TEST(init::last_lines("", 2).empty());
}

BOOST_AUTO_TEST_SUITE_END()
