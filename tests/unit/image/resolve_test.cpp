#include <algorithm>

#include <boost/test/unit_test.hpp>

#include "image/packages.hpp"
#include "test_files.hpp"

using image::BaseSpec;
using image::PackageRecord;

namespace {

const std::string paragraphs =
    "Package: app\nVersion: 1:2.0\nArchitecture: amd64\nDepends: liba (>= 1.0), libb | libc, virtual-x | libd:any\n"
    "Pre-Depends: base [amd64]\nDescription: text\n with: a colon\n .\n more\nFilename: pool/app.deb\nSize: 12\n"
    "SHA256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n\n\n"
    "Package: liba\nVersion: 1\nArchitecture: all\nFilename: pool/liba.deb\nSize: 1\n"
    "SHA256: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\nProvides: old-a (= 1), other\n";

PackageRecord record(const std::string& name, std::vector<std::vector<std::string>> depends = {}) {
    return {{name, "1", "amd64", std::string(64, 'c'), 1, "pool/" + name + ".deb"}, std::move(depends), {}};
}

/// A small archive; asked for names it does not have, it leaves them out, as apt does.
image::PackageSource archive_of(std::vector<PackageRecord> records) {
    return [records = std::move(records)](const std::vector<std::string>& names) {
        std::vector<PackageRecord> found;
        for (const PackageRecord& one : records) {
            if (std::find(names.begin(), names.end(), one.package.name) != names.end())
                found.push_back(one);
        }
        return found;
    };
}

std::string resolve(const std::vector<std::string>& packages, const std::vector<std::string>& without,
                    const image::PackageSource& source) {
    BaseSpec spec;
    spec.packages = packages;
    spec.without = without;
    std::string names;
    for (const auto& package : image::resolve_packages(spec, source, 7).packages)
        names += package.name + " ";
    return names;
}

} // namespace

BOOST_AUTO_TEST_SUITE(resolve_packages)

BOOST_AUTO_TEST_CASE(paragraphs_of_apt) {
    const std::vector<PackageRecord> records = image::parse_packages(paragraphs, "apt");
    BOOST_REQUIRE(records.size() == 2U);
    const PackageRecord& app = records[0];
    BOOST_TEST(app.package.version == "1:2.0");
    BOOST_TEST(app.package.size == 12U);
    BOOST_TEST(app.package.filename == "pool/app.deb");
    BOOST_REQUIRE(app.depends.size() == 4U);
    BOOST_TEST(app.depends[0] == std::vector<std::string>{"liba"}, boost::test_tools::per_element());
    BOOST_TEST(app.depends[1] == (std::vector<std::string>{"libb", "libc"}), boost::test_tools::per_element());
    BOOST_TEST(app.depends[2] == (std::vector<std::string>{"virtual-x", "libd"}), boost::test_tools::per_element());
    BOOST_TEST(app.depends[3] == std::vector<std::string>{"base"}, boost::test_tools::per_element());
    BOOST_TEST(records[1].provides == (std::vector<std::string>{"old-a", "other"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_is_no_paragraph_is_an_error) {
    BOOST_TEST(message_of([] { image::parse_packages("Package a\n", "apt"); }) == "apt: \"Package a\" is no field");
    BOOST_TEST(message_of([] { image::parse_packages("Package: a\nSize: x\n", "apt"); }) == "apt: a: bad Size");
}

BOOST_AUTO_TEST_CASE(dependencies_come_along_and_cycles_end) {
    const auto source =
        archive_of({record("app", {{"lib"}}), record("lib", {{"data"}}), record("data", {{"lib"}}), record("other")});
    BOOST_TEST(resolve({"app"}, {}, source) == "app data lib ");
}

BOOST_AUTO_TEST_CASE(an_alternative_that_is_wanted_already_is_taken) {
    const auto source = archive_of({record("app", {{"first", "second"}}), record("first"), record("second")});
    BOOST_TEST(resolve({"app"}, {}, source) == "app first ");
    BOOST_TEST(resolve({"app", "second"}, {}, source) == "app second ");
}

BOOST_AUTO_TEST_CASE(what_is_left_out_brings_nothing) {
    const auto source = archive_of({record("app", {{"tool"}, {"lib"}}), record("tool", {{"perl"}}), record("lib")});
    BOOST_TEST(resolve({"app"}, {"tool"}, source) == "app lib ");
}

BOOST_AUTO_TEST_CASE(an_unknown_package_is_named_with_who_asked) {
    const auto source = archive_of({record("app", {{"missing"}})});
    BOOST_TEST(message_of([&] {
                   resolve({"app"}, {}, source);
               }).starts_with("package missing (asked for by app): apt knows no such package"));
    BOOST_TEST(message_of([&] { resolve({"nope"}, {}, source); }).starts_with("package nope (asked for by the image)"));
}

BOOST_AUTO_TEST_CASE(what_apt_says_is_checked) {
    PackageRecord bad = record("app");
    bad.package.filename = "../../etc/passwd";
    BOOST_CHECK_THROW(resolve({"app"}, {}, archive_of({bad})), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
