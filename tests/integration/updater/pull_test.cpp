// What the worker accepts from a repository and what it refuses; every refusal leaves the machine as it was.
#include <boost/test/unit_test.hpp>

#include <sys/stat.h>

#include "base/error.hpp"
#include "base/sha256.hpp"
#include "rig.hpp"

using namespace updater_test;

namespace {

struct Machine : Rig {
    Machine() {
        install(publish({.signers = {&key}}));
        before = listing();
    }
    std::vector<std::string> before;

    /// The pull fails, says `text`, and nothing changed.
    void require_refused(const std::string& text, std::vector<std::string> more = {}) {
        const base::RunResult run = pull(std::move(more));
        BOOST_TEST_INFO(run.output << run.errors);
        BOOST_TEST(run.status.code == 1);
        BOOST_TEST(last_line(run).find("\"error\"") != std::string::npos);
        BOOST_TEST_INFO("expected: " << text << "\n" << run.output);
        BOOST_TEST(run.output.find(text) != std::string::npos);
        BOOST_TEST(listing() == before, boost::test_tools::per_element());
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(updater_pull, Machine)

BOOST_AUTO_TEST_CASE(nothing_newer) {
    const base::RunResult run = pull();
    BOOST_TEST_REQUIRE(run.status.success());
    BOOST_TEST(last_line(run).find("\"newer\":false") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(signed_update_is_taken) {
    const std::string commit =
        publish({.version = "2", .program = "two", .payload = 300'000, .signers = {&stranger, &key}});
    server->forget_requests();
    const base::RunResult run = pull();
    BOOST_TEST_INFO(run.output << run.errors);
    BOOST_TEST_REQUIRE(run.status.success());
    BOOST_TEST(last_line(run).find(commit) != std::string::npos);
    BOOST_TEST(run.output.find("\"stage\":\"downloading\"") != std::string::npos);
    BOOST_TEST(run.output.find("\"stage\":\"verifying\"") != std::string::npos);
    // No ref and no summary is asked for: the signed channel file says what to go to, once.
    const std::vector<std::string> requests = server->requests();
    BOOST_TEST(std::count_if(requests.begin(), requests.end(), [](const std::string& path) {
                   return path.find("/refs/") != std::string::npos || path.find("summary") != std::string::npos;
               }) == 0);
    BOOST_TEST(std::count(requests.begin(), requests.end(), "/atoll/channels/atoll/stable") == 1);
    const std::string held =
        base::run_checked({"ostree", "rev-parse", "--repo=" + paths.root + "/ostree/repo", "atoll-staged"});
    BOOST_TEST(held == commit + "\n");
}

BOOST_AUTO_TEST_CASE(check_only_fetches_metadata) {
    publish({.version = "2", .payload = 100'000, .signers = {&key}});
    server->forget_requests();
    const base::RunResult run = pull({"--metadata-only"});
    BOOST_TEST_REQUIRE(run.status.success());
    BOOST_TEST(last_line(run).find("\"newer\":true") != std::string::npos);
    for (const std::string& path : server->requests())
        BOOST_TEST(!path.ends_with(".filez"));
    BOOST_TEST(listing() == before, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_commit_object_that_a_power_cut_emptied_is_replaced) {
    const std::string commit = publish({.version = "2", .program = "two", .signers = {&key}});
    const std::string folder = paths.root + "/ostree/repo/objects/" + commit.substr(0, 2);
    base::make_directories(folder);
    base::write_durable(folder + "/" + commit.substr(2) + ".commit", "");
    const base::RunResult run = pull();
    BOOST_TEST_INFO(run.output << run.errors);
    BOOST_TEST_REQUIRE(run.status.success());
    BOOST_TEST(base::sha256_hex(base::read_file(folder + "/" + commit.substr(2) + ".commit")) == commit);
}

BOOST_AUTO_TEST_CASE(unsigned_is_refused) {
    publish({.version = "2"});
    require_refused("not signed");
}

BOOST_AUTO_TEST_CASE(wrong_key_is_refused) {
    publish({.version = "2", .signers = {&stranger}});
    require_refused("of which 0 by a trusted key");
}

BOOST_AUTO_TEST_CASE(signature_of_another_commit_is_refused) {
    const std::string good = publish({.version = "2", .program = "two", .signers = {&key}});
    const std::string bad = publish({.version = "3", .program = "three"});
    auto meta = [&](const std::string& commit) {
        return directory + "/server/objects/" + commit.substr(0, 2) + "/" + commit.substr(2) + ".commitmeta";
    };
    std::filesystem::copy_file(meta(good), meta(bad));
    require_refused("of which 0 by a trusted key");
}

BOOST_AUTO_TEST_CASE(two_keys_are_required) {
    publish({.version = "2", .signers = {&key}});
    base::write_durable(paths.image_yaml, "version: \"1\"\nref: atoll/stable\nupdate: {threshold: 2}\n");
    before = listing();
    require_refused("1 trusted key(s) on this host, 2 needed");
    write_host_yaml("  keys: [\"" + stranger.public_base64 + "\"]\n");
    before = listing();
    require_refused("of which 1 by a trusted key; 2 needed"); // the channel file
    const std::string commit = publish({.version = "3", .signers = {&key}});
    offer({.version = "3", .commit = commit}, {&key, &stranger});
    require_refused("commit " + commit + ": 1 signature(s), of which 1 by a trusted key; 2 needed");
    publish({.version = "4", .signers = {&key, &stranger}});
    BOOST_TEST(pull().status.success());
}

BOOST_AUTO_TEST_CASE(revoked_key_is_refused) {
    base::make_directories(paths.revoked_keys);
    base::write_durable(paths.revoked_keys + "/2026", key.public_base64 + "\n");
    publish({.version = "2", .signers = {&key}});
    before = listing();
    require_refused("0 trusted key(s) on this host");
}

BOOST_AUTO_TEST_CASE(downgrade_is_refused_unless_asked_for) {
    publish({.version = "0.9", .timestamp = 1'800'000'100, .signers = {&key}});
    require_refused("downgrades have to be asked for");
    publish({.version = "2", .timestamp = 1'700'000'000, .signers = {&key}});
    require_refused("downgrades have to be asked for");
    BOOST_TEST(pull({"--allow-downgrade"}).status.success());
}

BOOST_AUTO_TEST_CASE(commit_of_another_stream_is_refused) {
    publish({.version = "2", .signers = {&key}, .bind_ref = "atoll/testing"});
    require_refused("signed for another stream");
}

BOOST_AUTO_TEST_CASE(failed_commit_is_refused) {
    const std::string commit = publish({.version = "2", .signers = {&key}});
    require_refused("failed on this host before", {"--refuse", commit});
}

BOOST_AUTO_TEST_CASE(corrupted_object_is_refused) {
    const std::string commit = publish({.version = "2", .program = "two", .payload = 50'000, .signers = {&key}});
    const std::string object = object_path(commit, "/usr/bin/payload");
    std::string bytes = base::read_file(object);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x55);
    base::write_durable(object, bytes);
    require_refused("Writing content object");
}

BOOST_AUTO_TEST_CASE(another_object_under_its_name_is_refused) {
    const std::string commit = publish({.version = "2", .program = "two", .payload = 50'000, .signers = {&key}});
    std::filesystem::copy_file(object_path(commit, "/usr/bin/program"), object_path(commit, "/usr/bin/payload"),
                               std::filesystem::copy_options::overwrite_existing);
    require_refused("Corrupted file object");
}

BOOST_AUTO_TEST_CASE(corrupted_commit_is_refused) {
    const std::string commit = publish({.version = "2", .signers = {&key}});
    const std::string object =
        directory + "/server/objects/" + commit.substr(0, 2) + "/" + commit.substr(2) + ".commit";
    std::string bytes = base::read_file(object);
    bytes[bytes.size() - 10] = static_cast<char>(bytes[bytes.size() - 10] ^ 1);
    base::write_durable(object, bytes);
    require_refused("does not match its name");
}

BOOST_AUTO_TEST_CASE(object_larger_than_it_may_be_is_refused) {
    const std::string commit = publish({.version = "2", .program = "two", .signers = {&key}});
    const std::string object = object_path(commit, "/usr/bin/program");
    base::check(::truncate(object.c_str(), 40'000'000), "truncate");
    require_refused("an object is larger than the");
}

BOOST_AUTO_TEST_CASE(commit_without_sizes_is_refused) {
    publish({.version = "2", .sizes = false, .signers = {&key}});
    require_refused("does not say how large its objects are");
}

BOOST_AUTO_TEST_CASE(too_little_space_is_refused_before_the_download) {
    const std::string commit = publish({.version = "2", .payload = 3'000'000, .signers = {&key}});
    // Fills the file system but for 20 MB.
    std::error_code error;
    const auto space = std::filesystem::space(directory, error);
    const std::string filler = directory + "/filler";
    {
        const base::UniqueFd fd = base::open_file(filler, O_WRONLY | O_CREAT, 0600);
        base::check(::posix_fallocate(fd.get(), 0, static_cast<off_t>(space.available - 20'000'000)), "fallocate");
    }
    server->forget_requests();
    require_refused("missing");
    for (const std::string& path : server->requests())
        BOOST_TEST(!path.ends_with(".filez"));
    std::filesystem::remove(filler);
    BOOST_TEST(pull().status.success());
    BOOST_TEST(!commit.empty());
}

BOOST_AUTO_TEST_CASE(server_gone_in_the_middle_and_back) {
    publish({.version = "2", .program = "two", .payload = 2'000'000, .signers = {&key}});
    server->die_after(6);
    require_refused("fetch commit");
    server->die_after(-1);
    BOOST_TEST(pull().status.success());
}

BOOST_AUTO_TEST_CASE(no_server) {
    publish({.version = "2", .signers = {&key}});
    server->die_after(0);
    require_refused("fetch /atoll/keys/1");
}

BOOST_AUTO_TEST_CASE(grub_syntax_is_refused) {
    publish({.version = "2", .pretty_name = "Atoll; reboot", .signers = {&key}});
    const base::RunResult run = pull();
    BOOST_TEST(run.status.code == 1);
    BOOST_TEST(run.output.find("PRETTY_NAME: character ';'") != std::string::npos);
    publish({.version = "3 $x", .signers = {&key}});
    const base::RunResult second = pull();
    BOOST_TEST(second.status.code == 1);
    BOOST_TEST(second.output.find("version: character '$'") != std::string::npos);
    BOOST_TEST(
        base::run({"ostree", "rev-parse", "--repo=" + paths.root + "/ostree/repo", "atoll-staged"}).status.code != 0);
}

BOOST_AUTO_TEST_SUITE_END()
