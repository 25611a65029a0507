#include "image/channel_file.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/signed_text.hpp"
#include "image/publish.hpp"
#include "image/tree.hpp"

using namespace image;

namespace {

std::vector<SigningKey> some_keys(std::size_t count) {
    std::vector<SigningKey> keys;
    for (std::size_t index = 0; index < count; ++index)
        keys.push_back(SigningKey::generate());
    return keys;
}

std::string commit_of(Repository& repository, const base::TempDir& directory, const std::string& version) {
    const std::string root = directory / ("tree-" + version);
    base::make_directories(root);
    const Tree tree(root);
    tree.write("usr/bin/program", "content of " + version, 0755);
    std::string noise;
    for (unsigned part = 0; part < 3000; ++part)
        noise += std::to_string(part * 7919U);
    tree.write("usr/lib/library", noise + version, 0644);
    const std::string commit = repository.commit(
        {.tree = root, .name = "atoll", .version = version, .ref = "atoll/test", .timestamp = 1795000000});
    return commit;
}

ChannelFile read_channel(const Repository& repository) {
    const std::string path = repository.path() + "/atoll/channels/atoll/test";
    return ChannelFile::parse(base::SignedText::parse(base::read_file(path), "channel", path).text, path);
}

} // namespace

BOOST_AUTO_TEST_SUITE(channel_file)

BOOST_AUTO_TEST_CASE(signatures_are_counted_and_added) {
    const std::vector<SigningKey> keys = some_keys(3);
    std::vector<std::string> names;
    for (const SigningKey& key : keys)
        names.push_back(key.public_key_base64());
    std::vector<SigningKey> first;
    first.push_back(SigningKey::parse(keys[0].secret_key_base64(), "key"));
    std::string file = sign_text("keys", "text", first);
    BOOST_TEST(count_signers(file, "keys", names, "file") == 1U);
    file = add_signatures(file, "keys", first, "file"); // again: no second one
    BOOST_TEST(base::SignedText::parse(file, "keys", "file").signatures.size() == 1U);
    file = add_signatures(file, "keys", keys, "file");
    BOOST_TEST(count_signers(file, "keys", names, "file") == 3U);
    BOOST_CHECK_THROW(count_signers(file, "channel", names, "file"), base::Error);
}

BOOST_AUTO_TEST_CASE(a_channel_moves_on) {
    const base::TempDir directory;
    Repository repository = Repository::open_or_create(directory / "repo");
    const std::vector<SigningKey> keys = some_keys(1);
    const std::string one = commit_of(repository, directory, "1");
    const std::string two = commit_of(repository, directory, "2");
    write_channel(repository, "atoll/test", one, {.minimum_version = "0.5"}, keys);
    const ChannelFile first = read_channel(repository);
    BOOST_TEST(first.version == "1");
    BOOST_TEST(first.rollout == 100U);
    BOOST_TEST(first.deltas.empty());
    BOOST_TEST(first.expires == first.issued + 90 * 86400);

    write_channel(repository, "atoll/test", two, {.rollout = 20}, keys);
    const ChannelFile second = read_channel(repository);
    BOOST_TEST(second.commit == two);
    BOOST_TEST(second.rollout == 20U);
    BOOST_TEST(second.minimum_version == "0.5");
    BOOST_TEST(second.issued > first.issued);
    BOOST_TEST_REQUIRE(second.deltas.size() == 1U);
    BOOST_TEST(second.deltas[0].from == one);
    BOOST_TEST(second.deltas[0].size > second.deltas[0].superblock_size);
    BOOST_TEST(repository.largest_new_object(one, two) > 10'000U);

    // Offered again: what was said stays, unless told otherwise.
    write_channel(repository, "atoll/test", two, {.expires_days = 1, .minimum_version = ""}, keys);
    const ChannelFile third = read_channel(repository);
    BOOST_TEST(third.rollout == 20U);
    BOOST_TEST(third.minimum_version.empty());
    BOOST_TEST(third.deltas.size() == 1U);
    BOOST_TEST(third.issued > second.issued);
    BOOST_TEST(third.expires == third.issued + 86400);
    write_channel(repository, "atoll/test", two, {.rollout = 100, .deltas = false}, keys);
    BOOST_TEST(read_channel(repository).deltas.empty());
}

BOOST_AUTO_TEST_CASE(releases_offered_before_stay_and_their_deltas_go) {
    const base::TempDir directory;
    Repository repository = Repository::open_or_create(directory / "repo");
    const std::vector<SigningKey> keys = some_keys(1);
    std::vector<std::string> commits;
    for (const char* version : {"1", "2", "3"})
        commits.push_back(commit_of(repository, directory, version));
    const auto deltas = [&] {
        std::size_t count = 0;
        for (const auto& item : std::filesystem::recursive_directory_iterator(repository.path() + "/deltas"))
            count += item.path().filename() == "superblock" ? 1 : 0;
        return count;
    };
    write_channel(repository, "atoll/test", commits[0], {.minimum_version = "0.5"}, keys);
    BOOST_TEST(read_channel(repository).history.empty());
    write_channel(repository, "atoll/test", commits[1], {.minimum_version = ""}, keys);
    write_channel(repository, "atoll/other", commits[1], {.delta_from = {commits[0]}}, keys);
    write_channel(repository, "atoll/test", commits[2], {}, keys);
    const ChannelFile third = read_channel(repository);
    BOOST_TEST_REQUIRE(third.history.size() == 2U);
    BOOST_TEST(third.history[0].version == "2");
    BOOST_TEST(third.history[0].minimum_version.empty());
    BOOST_TEST(third.history[1].commit == commits[0]);
    BOOST_TEST(third.history[1].minimum_version == "0.5");
    BOOST_TEST(deltas() == 2U);
    // The other stream's delta stays; ours goes when no file lists it, nor the one before.
    write_channel(repository, "atoll/test", commits[2], {.deltas = false, .forget = {"1"}}, keys);
    BOOST_TEST(read_channel(repository).history.size() == 1U);
    BOOST_TEST(deltas() == 2U);
    write_channel(repository, "atoll/test", commits[2], {.deltas = false}, keys);
    BOOST_TEST(deltas() == 1U);
    // Back to an older one: what was offered between is history now, and the older one is not.
    write_channel(repository, "atoll/test", commits[1], {.deltas = false}, keys);
    const ChannelFile back = read_channel(repository);
    BOOST_TEST_REQUIRE(back.history.size() == 1U);
    BOOST_TEST(back.history[0].version == "3");
}

BOOST_AUTO_TEST_CASE(key_sets_hand_over) {
    const base::TempDir directory;
    const std::vector<SigningKey> keys = some_keys(2);
    const auto names = [&](std::size_t from, std::size_t to) {
        std::vector<std::string> list;
        for (; from < to; ++from)
            list.push_back(keys[from].public_key_base64());
        return list;
    };
    std::vector<SigningKey> only_second;
    only_second.push_back(SigningKey::parse(keys[1].secret_key_base64(), "key"));
    BOOST_TEST(!newest_key_set(directory.path()).has_value());
    write_key_set(directory.path(), {.threshold = 2, .keys = names(0, 2)}, keys);
    BOOST_TEST(newest_key_set(directory.path())->version == 1);
    // The second set needs the first one's threshold.
    BOOST_CHECK_THROW(write_key_set(directory.path(), {.keys = names(1, 2)}, only_second), base::Error);
    write_key_set(directory.path(), {.keys = names(1, 2), .revoked = names(0, 1)}, keys);
    const std::optional<KeySetFile> newest = newest_key_set(directory.path());
    BOOST_TEST_REQUIRE(newest.has_value());
    BOOST_TEST(newest->version == 2);
    BOOST_TEST(newest->revoked == names(0, 1), boost::test_tools::per_element());
    for (const KeySetFile& bad :
         {KeySetFile{.threshold = 2, .keys = names(1, 2)}, KeySetFile{.threshold = 0, .keys = names(1, 2)},
          KeySetFile{.keys = names(1, 2), .revoked = names(1, 2)}, KeySetFile{.keys = {}}})
        BOOST_CHECK_THROW(write_key_set(directory.path(), bad, keys), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
