#include "boot_count.hpp"

#include <boost/test/unit_test.hpp>

#include <sys/stat.h>

#include <map>
#include <string>

#include "base/files.hpp"
#include "base/grub_env.hpp"

namespace {

constexpr const char* revision = "0123456789abcdef";

std::string block(const std::map<std::string, std::string>& values) {
    base::GrubEnv environment;
    for (const auto& [name, value] : values)
        environment.set(name, value);
    return environment.serialize();
}

/// The block after the change, read as the updater and GRUB read it; empty when nothing was changed.
std::map<std::string, std::string> after(init::BlockChange change, const std::string& before,
                                         const char* about = revision) {
    init::GrubBlock changed;
    if (!change(before, about, changed))
        return {};
    return base::GrubEnv::parse(changed.view()).values();
}

} // namespace

BOOST_AUTO_TEST_SUITE(boot_count)

BOOST_AUTO_TEST_CASE(stage_1_gives_the_try_back) {
    const auto now =
        after(init::count_begun_boot, block({{"ok", "aa"}, {"trial", revision}, {"tries", "2"}, {"other", "kept"}}));
    BOOST_TEST(now.at("tries") == "3");
    BOOST_TEST(now.at("begun") == fmt::format("{}.1", revision));
    BOOST_TEST(now.at("ok") == "aa");
    BOOST_TEST(now.at("other") == "kept");
}

BOOST_AUTO_TEST_CASE(but_only_so_often_that_an_endless_loop_of_boots_ends) {
    // What GRUB and stage 1 do when every boot ends after stage 1.
    std::map<std::string, std::string> state{{"ok", "aa"}, {"trial", revision}, {"tries", "3"}};
    unsigned boots = 0;
    while (state.at("tries") != "0") {
        state["tries"] = std::to_string(std::stoi(state.at("tries")) - 1);
        state = after(init::count_begun_boot, block(state));
        BOOST_TEST_REQUIRE(++boots < 100U);
    }
    BOOST_TEST(boots == init::max_refunds + 3);
    BOOST_TEST(state.at("begun") == std::string(revision) + ".5");
}

BOOST_AUTO_TEST_CASE(a_boot_after_a_panic_counts) {
    const auto now = after(init::count_crashed_boot, block({{"ok", "aa"}, {"trial", revision}, {"tries", "2"}}));
    BOOST_TEST(now.at("tries") == "2");
    BOOST_TEST(now.at("begun") == fmt::format("{}.1", revision));
    BOOST_TEST(after(init::count_crashed_boot, block({{"ok", revision}, {"trial", revision}})).empty());
}

BOOST_AUTO_TEST_CASE(another_revisions_count_does_not_matter) {
    const auto now =
        after(init::count_begun_boot, block({{"trial", revision}, {"tries", "0"}, {"begun", "fedcba9876543210.9"}}));
    BOOST_TEST(now.at("tries") == "1");
    BOOST_TEST(now.at("begun") == fmt::format("{}.1", revision));
    for (const char* strange :
         {"0123456789abcdef", "0123456789abcdef.", "0123456789abcdef.x", "0123456789abcdef.99999"})
        BOOST_TEST(after(init::count_begun_boot, block({{"trial", revision}, {"tries", "0"}, {"begun", strange}}))
                       .at("begun") == fmt::format("{}.1", revision));
}

BOOST_AUTO_TEST_CASE(what_grub_does_not_count_is_left_alone) {
    BOOST_TEST(after(init::count_begun_boot, block({{"ok", revision}, {"trial", revision}, {"tries", "2"}})).empty());
    BOOST_TEST(after(init::count_begun_boot, block({{"ok", "aa"}, {"trial", "bb"}, {"tries", "2"}})).empty());
    BOOST_TEST(after(init::count_begun_boot, block({{"ok", "aa"}}), "").empty());
    for (const std::string& none : {std::string(), std::string(1024, '\0'), std::string("# GRUB Environment Block\n"),
                                    block({{"trial", revision}, {"tries", "1"}}).substr(0, 512)})
        BOOST_TEST(after(init::count_begun_boot, none).empty());
}

BOOST_AUTO_TEST_CASE(a_verdict_ends_the_tries) {
    const auto now = after(init::end_tries, block({{"ok", "aa"}, {"trial", "bb"}, {"tries", "2"}}));
    BOOST_TEST(now.at("trial") == revision);
    BOOST_TEST(now.at("tries") == "0");
    BOOST_TEST(after(init::end_tries, block({{"ok", revision}})).empty()); // good: no verdict any more
}

BOOST_AUTO_TEST_CASE(what_cannot_be_started_is_passed_over) {
    BOOST_TEST(after(init::mark_failed, block({{"ok", revision}})).at("failed") == revision);
    BOOST_TEST(after(init::mark_failed, block({{"ok", "aa"}}), "").empty());
}

BOOST_AUTO_TEST_CASE(the_block_stays_within_its_sector) {
    std::map<std::string, std::string> many;
    for (int i = 0; i < 11; ++i)
        many["name" + std::to_string(i)] = std::string(36, 'x');
    BOOST_TEST(after(init::mark_failed, block(many)).empty());
}

BOOST_AUTO_TEST_CASE(the_file_is_written_in_place) {
    const base::TempDir directory("boot-count");
    const std::string path = directory / "grubenv";
    base::write_durable(path, block({{"ok", "aa"}}));
    const auto inode = [&] {
        struct stat status {};
        BOOST_TEST((::stat(path.c_str(), &status) == 0));
        return status.st_ino;
    };
    const auto before = inode();
    init::change_grub_environment(path.c_str(), init::mark_failed, revision);
    BOOST_TEST(base::GrubEnv::load(path).get("failed") == revision);
    BOOST_TEST(inode() == before);
    init::change_grub_environment((directory / "missing").c_str(), init::mark_failed, revision); // logged
    BOOST_TEST(!std::filesystem::exists(directory / "missing"));
}

BOOST_AUTO_TEST_SUITE_END()
