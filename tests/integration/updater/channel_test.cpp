// Signed channel files, key sets, static deltas and interrupted downloads, as the worker takes them from a server.
#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/sha256.hpp"
#include "rig.hpp"
#include "tls_front.hpp"

using namespace updater_test;

namespace {

struct Machine : Rig {
    Machine() {
        first = publish({.payload = 40'000, .signers = {&key}});
        install(first);
        second = publish({.version = "2", .program = "two", .payload = 40'000, .signers = {&key}});
        before = listing();
    }
    std::string first;
    std::string second;
    std::vector<std::string> before;

    void require_refused(const std::string& text, std::vector<std::string> more = {}) {
        const base::RunResult run = pull(std::move(more));
        BOOST_TEST(run.status.code == 1);
        BOOST_TEST(run.output.find(text) != std::string::npos, "expected " << text << "\n" << run.output);
        BOOST_TEST(listing() == before, boost::test_tools::per_element());
        BOOST_TEST(leftovers().empty());
    }
    base::json::object require_taken(std::vector<std::string> more = {}) {
        const base::RunResult run = pull(std::move(more));
        BOOST_TEST_INFO(run.output << run.errors);
        BOOST_TEST_REQUIRE(run.status.success());
        return base::parse_json(last_line(run), "answer").at("result").as_object();
    }
    bool is_staged(const std::string& commit) const {
        const base::RunResult run = base::run({"ostree", "rev-parse", "--repo=" + repository(), "atoll-staged"});
        return run.status.success() && run.output == commit + "\n";
    }
    std::string mkimage(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), MKIMAGE);
        return base::run_checked(arguments);
    }
    /// A delta from the first to the second release, offered by mkimage.
    void offer_delta() const {
        mkimage({"channel", directory + "/server", "--stream", "atoll/stable", "--commit", second, "--delta-from",
                 first, "--key", key_file(key)});
    }
    std::string delta_file(const std::string& name) const {
        for (const auto& item : std::filesystem::recursive_directory_iterator(directory + "/server/deltas"))
            if (item.path().filename() == name)
                return item.path();
        throw base::Error("no file " + name + " of the delta");
    }
    void spoil(const std::string& file) const {
        std::string bytes = base::read_file(file);
        bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x55);
        base::write_durable(file, bytes);
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(updater_channel, Machine)

BOOST_AUTO_TEST_CASE(a_channel_file_has_to_be_signed) {
    offer({.commit = second}, {});
    require_refused("atoll/channels/atoll/stable: not signed");
    offer({.commit = second}, {&stranger});
    require_refused("of which 0 by a trusted key");
    write_signed("channels/atoll/stable", "keys", "{}", {&key});
    require_refused("has to begin with 'atoll-signed 1 channel'");
    write_signed("channels/atoll/stable", "channel", "{}", {&key});
    require_refused("atoll/channels/atoll/stable: format: missing");
    std::filesystem::remove(directory + "/server/atoll/channels/atoll/stable");
    require_refused("/atoll/channels/atoll/stable: No such file");
}

BOOST_AUTO_TEST_CASE(frozen_and_turned_back) {
    offer({.commit = second, .issued = 1'000'000'000, .expires = 1'000'000'001}, {&key});
    require_refused("expired at 1000000001");
    // The clock does not matter: the booted image was built later than that.
    offer({.commit = second, .issued = 1'799'999'990, .expires = 1'799'999'999}, {&key});
    require_refused("expired at 1799999999, and it is 1800000000 at least");
    // Seen once, an older file does not count any more, and neither does the time before.
    offer({.version = "1", .commit = first, .issued = 1'900'000'000}, {&key});
    require_taken({"--metadata-only"});
    offer({.commit = second, .issued = 1'899'999'999}, {&key});
    require_refused("older (issued 1899999999) than one seen before");
    offer({.commit = second, .issued = 1'900'000'000, .expires = 1'900'000'000}, {&key});
    require_refused("expired");
    // A commit that was asked for by its name is not the stream's business, its signatures are.
    require_taken({"--commit", second, "--metadata-only"});
}

BOOST_AUTO_TEST_CASE(not_for_this_host) {
    offer({.commit = second, .minimum_version = "1.5"}, {&key});
    require_refused("go through version 1.5 first");
    offer({.version = "3", .commit = second}, {&key});
    require_refused("version '2', where the channel file says 3");
    const std::string path = directory + "/server/atoll/channels/atoll/";
    offer({.stream = "atoll/testing", .commit = second}, {&key});
    std::filesystem::rename(path + "testing", path + "stable");
    require_refused("is of stream atoll/testing");
    // No machine id, or a late place: the host waits, and says for what.
    offer({.commit = second, .rollout = 99}, {&key});
    base::json::object answer = require_taken();
    BOOST_TEST(!answer.at("newer").as_bool());
    BOOST_TEST(answer.at("waits").as_string() == "2 is for 99 % of the hosts so far, and this one is not among them");
    BOOST_TEST(listing() == before, boost::test_tools::per_element());
    require_taken({"--ignore-rollout"});
    BOOST_TEST(is_staged(second));
}

BOOST_AUTO_TEST_CASE(kernel_arguments_that_cannot_be_in_a_boot_entry) {
    const auto offer_with = [&](const std::vector<std::string>& arguments) {
        publish({.version = "3", .program = "three", .signers = {&key}, .kernel_arguments = arguments});
    };
    offer_with({"quiet;reboot"});
    require_refused("character ';' must not be in a boot entry");
    offer_with({"two words"});
    require_refused("has a space");
    offer_with(std::vector<std::string>(9, std::string(200, 'x')));
    require_refused("the kernel has room for 1700");
    offer_with({"quiet"});
    require_taken();
}

BOOST_AUTO_TEST_CASE(a_release_offered_before) {
    const std::string third = publish({.version = "3", .program = "three", .signers = {&key}});
    const auto offer_third = [&](const std::string& version, const std::string& commit) {
        offer({.version = "3",
               .commit = third,
               .minimum_version = "2",
               .rollout = 0,
               .history = fmt::format(R"([{{"version":"{}","commit":"{}"}}])", version, commit)},
              {&key});
    };
    offer_third("2", second);
    require_refused("go through version 2 first");
    require_refused("atoll/stable has no version 7: it offers 3, and before it 2", {"--release", "7"});
    require_refused("go through version 2 first", {"--release", "3"});
    offer_third("2.5", second);
    require_refused("version '2', where the channel file says 2.5", {"--release", "2.5"});
    offer_third("0.9", publish({.version = "0.9", .program = "old", .signers = {&key}}));
    require_refused("downgrades have to be asked for", {"--release", "0.9"});
    offer_third("2", publish({.version = "2", .program = "another", .signers = {&stranger}}));
    require_refused("of which 0 by a trusted key", {"--release", "2"});
    // Named, it is this host's turn whatever the rollout says.
    offer_third("2", second);
    require_taken({"--release", "2"});
    BOOST_TEST(is_staged(second));
}

BOOST_AUTO_TEST_CASE(what_was_seen_is_not_guessed) {
    require_taken({"--metadata-only"});
    base::write_durable(paths.trust_file(), "{");
    require_refused("remove the file to begin anew");
}

BOOST_AUTO_TEST_CASE(keys_hand_over_step_by_step) {
    const SigningKey a = SigningKey::make();
    const SigningKey b = SigningKey::make();
    const SigningKey c = SigningKey::make();
    // A stranger cannot take over, nor half of those who are asked for.
    write_key_set(1, 1, {&stranger}, {&stranger});
    require_refused("atoll/keys/1: by the keys trusted so far");
    write_key_set(1, 2, {&a, &b}, {&key, &a});
    require_refused("atoll/keys/1: by the keys it names");
    write_key_set(2, 1, {&a}, {&key, &a});
    std::filesystem::copy_file(directory + "/server/atoll/keys/2", directory + "/server/atoll/keys/1",
                               std::filesystem::copy_options::overwrite_existing);
    require_refused("set 2 where 1 is expected");
    std::filesystem::remove(directory + "/server/atoll/keys/2");
    // Two rotations while the host was off: it follows both, the last one by the keys of mkimage's command.
    write_key_set(1, 2, {&a, &b}, {&key, &a, &b});
    mkimage({"keys", directory + "/server", "--trust", key_file(b) + ".pub", "--trust", key_file(c) + ".pub",
             "--revoke", key_file(a) + ".pub", "--threshold", "2", "--key", key_file(a), "--key", key_file(b), "--key",
             key_file(c)});
    require_refused("of which 0 by a trusted key"); // what the first key signed does not count any more
    write_host_yaml("  keys: [\"" + a.public_base64 + "\"]\n");
    before = listing();
    const std::string third = publish({.version = "3", .program = "three", .signers = {&a, &b}});
    offer({.version = "3", .commit = third}, {&a, &b});
    require_refused("of which 1 by a trusted key; 2 needed"); // revoked, also where the host names it
    const std::string fourth = publish({.version = "4", .program = "four", .signers = {&b, &c}});
    offer({.version = "4", .commit = fourth}, {&b, &c});
    require_taken();
    BOOST_TEST(is_staged(fourth));
    // Kept: a server that hides the sets changes nothing.
    base::remove_tree(directory + "/server/atoll/keys");
    offer({.version = "2", .commit = second}, {&key});
    BOOST_TEST(pull().output.find("of which 0 by a trusted key") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_delta_is_taken_when_it_is_smaller) {
    offer_delta();
    server->forget_requests();
    const base::json::object answer = require_taken();
    BOOST_TEST(answer.at("delta").as_bool());
    BOOST_TEST(is_staged(second));
    BOOST_TEST(leftovers().empty());
    for (const std::string& path : server->requests())
        BOOST_TEST(!path.ends_with(".filez"), path);
    base::run_checked({"ostree", "fsck", "--quiet", "--repo=" + repository()});
}

BOOST_AUTO_TEST_CASE(a_spoiled_delta_is_refused) {
    offer_delta();
    const std::string good = base::read_file(delta_file("0"));
    spoil(delta_file("0"));
    require_refused("bytes that were announced");
    base::write_durable(delta_file("0"), good);
    spoil(delta_file("superblock"));
    require_refused("bytes that were announced");
    // Signed, yet not a superblock; and one of other commits.
    const auto offer_superblock = [&](const std::string& bytes, std::size_t size) {
        base::write_durable(delta_file("superblock"), bytes);
        offer({.commit = second,
               .deltas = fmt::format(R"([{{"from":"{}","to":"{}","size":{},"superblock_size":{},"sha256":"{}"}}])",
                                     first, second, size, bytes.size(), base::sha256_hex(bytes))},
              {&key});
    };
    offer_superblock(std::string(200, 'x'), 200);
    require_refused("static delta: ");
    offer_superblock("x", 1);
    require_refused("static delta: ");
}

BOOST_AUTO_TEST_CASE(an_interrupted_download_goes_on) {
    const auto objects = [&] {
        const std::vector<std::string> requests = server->requests();
        return std::count_if(requests.begin(), requests.end(),
                             [](const std::string& path) { return path.ends_with(".filez"); });
    };
    for (int count = 0; count < 3; ++count)
        second = publish({.version = fmt::format("2.{}", count),
                          .program = fmt::format("two {}", count),
                          .payload = 200'000,
                          .signers = {&key}});
    server->forget_requests();
    server->die_after(10);
    BOOST_TEST(pull().status.code == 1);
    const auto came = objects();
    BOOST_TEST(came > 0);
    BOOST_TEST(!leftovers().empty());
    // Another boot, and the power cut damaged one of them.
    base::write_durable(paths.boot_id, "another\n");
    std::string damaged;
    for (const auto& item : std::filesystem::recursive_directory_iterator(repository() + "/tmp"))
        if (item.path().extension() == ".file")
            damaged = item.path();
    BOOST_TEST_REQUIRE(!damaged.empty());
    base::check(::truncate(damaged.c_str(), 0), "truncate");
    server->die_after(-1);
    server->forget_requests();
    require_taken();
    BOOST_TEST(is_staged(second));
    BOOST_TEST(objects() >= 1); // the damaged one
    base::run_checked({"ostree", "fsck", "--quiet", "--repo=" + repository()});
    BOOST_TEST(leftovers().empty());
}

BOOST_AUTO_TEST_CASE(tls_by_the_authority_that_was_named) {
    const TlsFront front(directory + "/tls", server->port());
    const TlsFront other(directory + "/other", server->port());
    const auto pull_over_tls = [&](const std::string& authority) {
        base::write_durable(paths.host_yaml, fmt::format("update:\n  url: {}\n{}", front.url(),
                                                         authority.empty() ? "" : "  ca: " + authority + "\n"));
        before = listing();
        return worker({"pull", "--url", front.url(), "--ref", "atoll/stable"});
    };
    for (const std::string& wrong : {std::string(), other.authority()}) {
        const base::RunResult run = pull_over_tls(wrong);
        BOOST_TEST(run.status.code == 1);
        BOOST_TEST(run.output.find("certificate") != std::string::npos, run.output);
        BOOST_TEST(listing() == before, boost::test_tools::per_element());
    }
    const base::RunResult run = pull_over_tls(front.authority());
    BOOST_TEST(run.status.success(), run.output);
    BOOST_TEST(is_staged(second));
}

BOOST_AUTO_TEST_CASE(proxies_are_those_of_the_configuration) {
    const auto pull_with = [&](const std::string& proxy) {
        base::write_durable(paths.host_yaml, fmt::format("update:\n  url: http://nowhere.invalid\n{}",
                                                         proxy.empty() ? "" : "  proxy: " + proxy + "\n"));
        return base::run({"env", "http_proxy=" + server->url(), "ALL_PROXY=" + server->url(), UPDATER_WORKER, "--root",
                          paths.root, "pull", "--url", "http://nowhere.invalid", "--ref", "atoll/stable"});
    };
    server->forget_requests();
    BOOST_TEST(pull_with({}).status.code == 1);
    BOOST_TEST(server->requests().empty());
    // Our server is no proxy, it only shows that it is asked.
    BOOST_TEST(pull_with(server->url()).status.code == 1);
    BOOST_TEST_REQUIRE(!server->requests().empty());
    BOOST_TEST(server->requests().front() == "http://nowhere.invalid/atoll/keys/1");
}

BOOST_AUTO_TEST_CASE(leftovers_of_another_download_are_removed) {
    server->die_after(6);
    BOOST_TEST(pull().status.code == 1);
    BOOST_TEST(!leftovers().empty());
    server->die_after(-1);
    publish({.version = "3", .program = "three", .signers = {&key}});
    require_taken();
    BOOST_TEST(leftovers().empty());
}

BOOST_AUTO_TEST_SUITE_END()
