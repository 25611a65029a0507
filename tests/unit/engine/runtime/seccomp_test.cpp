#include "runtime/seccomp.hpp"

#include <linux/seccomp.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/sha256.hpp"
#include "bundle.hpp"

using namespace engine::runtime;

namespace {

SeccompProfile profile(const std::string& errno_value = "13") {
    return *parse_config(runtime_test::with("/linux/seccomp",
                                            R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "not_a_system_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": )" +
                                                errno_value + R"(},
            {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_EQ"},
                                                                       {"index": 0, "value": 17, "op": "SCMP_CMP_EQ"}]}]})"),
                         "config.json", "/bundle")
                .linux_part.seccomp;
}

bool same(const SeccompFilter& left, const SeccompFilter& right) {
    return left.program.size() == right.program.size() &&
           std::memcmp(left.program.data(), right.program.data(), left.program.size() * sizeof(sock_filter)) == 0;
}

struct Fixture {
    std::string entry() const {
        for (const auto& file : std::filesystem::directory_iterator(path))
            return file.path();
        return {};
    }
    base::TempDir directory;
    std::string path = directory / "filters";
    FilterCache cache{path};
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(seccomp, Fixture)

BOOST_AUTO_TEST_CASE(an_entry_is_used_again) {
    const SeccompFilter first = cache.get(profile());
    BOOST_REQUIRE(!first.program.empty());
    BOOST_TEST(same(first, compile_filter(profile())));
    struct stat before {
    }, after{};
    BOOST_REQUIRE(stat(entry().c_str(), &before) == 0);
    BOOST_TEST((before.st_mode & 077) == 0U);
    BOOST_TEST(same(cache.get(profile()), first));
    BOOST_REQUIRE(stat(entry().c_str(), &after) == 0);
    BOOST_TEST(before.st_ino == after.st_ino); // it was not written anew
}

BOOST_AUTO_TEST_CASE(another_profile_is_another_filter) {
    const SeccompFilter first = cache.get(profile());
    BOOST_TEST(!same(cache.get(profile("14")), first));
    // A foreign entry, whole in itself, under our name: it says whose it is.
    std::filesystem::remove_all(path);
    cache.get(profile());
    const std::string own = entry();
    const std::string content = base::read_file(own);
    BOOST_TEST(base::is_sha256_hex(std::filesystem::path(own).stem().string()));
    std::filesystem::remove_all(path);
    cache.get(profile("14"));
    BOOST_TEST(entry() != own);
    std::filesystem::rename(entry(), own);
    BOOST_TEST(same(cache.get(profile()), first));
    BOOST_TEST(base::read_file(own) == content); // it was replaced
}

BOOST_AUTO_TEST_CASE(damage_is_noticed_at_every_byte) {
    const SeccompFilter good = cache.get(profile());
    const std::string content = base::read_file(entry());
    const std::string file = entry();
    for (std::size_t at = 0; at < content.size(); at += 7) {
        std::string damaged = content;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
        std::ofstream(file, std::ios::trunc | std::ios::binary) << damaged;
        BOOST_REQUIRE(same(cache.get(profile()), good));
    }
    std::ofstream(file, std::ios::trunc) << content.substr(0, content.size() / 2);
    BOOST_TEST(same(cache.get(profile()), good));
    std::ofstream(file, std::ios::trunc) << "";
    BOOST_TEST(same(cache.get(profile()), good));
    BOOST_TEST(base::read_file(file) == content); // it was replaced
    std::ofstream(file, std::ios::app) << std::string(sizeof(sock_filter), '\0');
    BOOST_TEST(same(cache.get(profile()), good));
}

BOOST_AUTO_TEST_CASE(a_directory_that_others_may_write_is_not_trusted) {
    const SeccompFilter good = cache.get(profile());
    const std::string planted = base::read_file(entry());
    std::ofstream(entry(), std::ios::trunc) << "planted";
    BOOST_REQUIRE(chmod(path.c_str(), 0777) == 0);
    BOOST_TEST(same(cache.get(profile()), good));
    BOOST_TEST(base::read_file(entry()) == "planted"); // neither read nor written
}

BOOST_AUTO_TEST_CASE(an_entry_that_is_no_file_is_not_read) {
    const SeccompFilter good = cache.get(profile());
    const std::string file = entry();
    const std::string content = base::read_file(file);
    std::filesystem::rename(file, directory / "elsewhere");
    std::filesystem::create_symlink(directory / "elsewhere", file);
    BOOST_TEST(same(cache.get(profile()), good));
    BOOST_TEST(!std::filesystem::is_symlink(file)); // it was replaced
    BOOST_TEST(base::read_file(file) == content);
}

BOOST_AUTO_TEST_CASE(a_cache_that_cannot_be_is_none) {
    BOOST_TEST(same(FilterCache("/proc/nowhere/filters").get(profile()), compile_filter(profile())));
}

BOOST_AUTO_TEST_SUITE_END()
