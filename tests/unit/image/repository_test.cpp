// Against libostree: what is committed is what upstream's tools and the updater read.
#include <sys/stat.h>

#include <glib.h>

#include <boost/test/unit_test.hpp>

#include "base/files.hpp"
#include "base/process.hpp"
#include "base/sha256.hpp"
#include "image/repository.hpp"
#include "image/tree.hpp"
#include "test_files.hpp"

using image::Repository;

namespace {

std::string make_tree(const base::TempDir& directory, const std::string& name) {
    const std::string root = directory / name;
    base::make_directories(root);
    const image::Tree tree(root);
    tree.write("usr/bin/program", "content", 0755);
    tree.symlink("bin", "usr/bin");
    return root;
}

image::CommitRequest request(const std::string& tree) {
    return {.tree = tree, .name = "atoll", .version = "1.0", .ref = "atoll/test", .timestamp = 1795000000};
}

std::string object_path(const std::string& repo, const std::string& commit, const std::string& kind) {
    return repo + "/objects/" + commit.substr(0, 2) + "/" + commit.substr(2) + "." + kind;
}

/// The signatures in a commit's detached metadata, read with GVariant as the format says.
std::vector<std::string> signatures_of(const std::string& repo, const std::string& commit) {
    std::vector<std::string> signatures;
    const auto bytes = base::read_file_if_exists(object_path(repo, commit, "commitmeta"));
    if (!bytes)
        return signatures;
    GVariant* metadata = g_variant_ref_sink(
        g_variant_new_from_data(G_VARIANT_TYPE("a{sv}"), bytes->data(), bytes->size(), FALSE, nullptr, nullptr));
    if (GVariant* list = g_variant_lookup_value(metadata, "ostree.sign.ed25519", G_VARIANT_TYPE("aay"))) {
        for (gsize i = 0; i < g_variant_n_children(list); ++i) {
            GVariant* one = g_variant_get_child_value(list, i);
            signatures.emplace_back(static_cast<const char*>(g_variant_get_data(one)), g_variant_get_size(one));
            g_variant_unref(one);
        }
        g_variant_unref(list);
    }
    g_variant_unref(metadata);
    return signatures;
}

} // namespace

BOOST_AUTO_TEST_SUITE(repository)

BOOST_AUTO_TEST_CASE(the_commit_is_a_function_of_the_tree_alone) {
    const base::TempDir directory;
    Repository one = Repository::open_or_create(directory / "one");
    Repository two = Repository::open_or_create(directory / "two");
    const std::string a = make_tree(directory, "a");
    const std::string b = make_tree(directory, "b");
    const timespec old[2] = {{1, 0}, {1, 0}};
    BOOST_REQUIRE(::utimensat(AT_FDCWD, (b + "/usr/bin/program").c_str(), old, 0) == 0);
    const std::string commit = one.commit(request(a));
    BOOST_TEST(commit == two.commit(request(b)));
    BOOST_TEST(commit == one.commit(request(a))); // again in the same repository, also when a ref points elsewhere
    BOOST_REQUIRE(::chmod((b + "/usr/bin/program").c_str(), 0700) == 0);
    BOOST_TEST(commit != two.commit(request(b)));
}

BOOST_AUTO_TEST_CASE(upstreams_tool_reads_it_and_every_file_is_roots) {
    const base::TempDir directory;
    Repository repository = Repository::open_or_create(directory / "repo");
    const std::string tree = make_tree(directory, "tree");
    if (::geteuid() == 0)
        BOOST_REQUIRE(::chown((tree + "/usr/bin/program").c_str(), 1000, 1000) == 0);
    const std::string commit = repository.commit(request(tree));
    repository.set_ref("atoll/test", commit);
    repository.update_summary();
    const std::string option = "--repo=" + (directory / "repo");
    BOOST_TEST(
        base::run_checked({"ostree", option, "ls", "-R", "atoll/test"}).find("-00755 0 0      7 /usr/bin/program") !=
        std::string::npos);
    BOOST_TEST(base::run_checked({"ostree", option, "show", "atoll/test", "--print-metadata-key=version"}) ==
               "'1.0'\n");
    BOOST_TEST(base::run_checked({"ostree", option, "show", "atoll/test", "--print-metadata-key=ostree.ref-binding"}) ==
               "['atoll/test']\n");
    BOOST_TEST(base::run_checked({"ostree", option, "summary", "-v"}).find("atoll/test") != std::string::npos);
    base::run_checked({"ostree", option, "fsck", "--quiet"});
}

BOOST_AUTO_TEST_CASE(signatures_are_over_the_commit_objects_bytes) {
    const base::TempDir directory;
    Repository repository = Repository::open_or_create(directory / "repo");
    const std::string commit = repository.commit(request(make_tree(directory, "tree")));
    std::vector<image::SigningKey> keys;
    keys.push_back(image::SigningKey::generate());
    keys.push_back(image::SigningKey::generate());
    repository.sign(commit, keys);
    const std::string object = base::read_file(object_path(directory / "repo", commit, "commit"));
    BOOST_TEST(base::sha256_hex(object) == commit);
    const std::vector<std::string> signatures = signatures_of(directory / "repo", commit);
    BOOST_REQUIRE(signatures.size() == 2U);
    for (std::size_t i = 0; i < 2; ++i)
        BOOST_TEST(image::verify_ed25519(base::base64_decode(keys[i].public_key_base64()), object, signatures[i]));
    repository.sign(commit, {}); // an unsigned build takes them away
    BOOST_TEST(signatures_of(directory / "repo", commit).empty());
}

BOOST_AUTO_TEST_CASE(a_second_version_joins_the_first) {
    const base::TempDir directory;
    Repository made = Repository::open_or_create(directory / "made");
    Repository served = Repository::open_or_create(directory / "served");
    const std::string tree = make_tree(directory, "tree");
    const std::string first = made.commit(request(tree));
    served.pull(made.path(), first);
    served.set_ref("atoll/test", first);
    image::Tree(tree).write("usr/new", "more");
    const std::string second = made.commit(request(tree));
    served.pull(made.path(), second);
    served.set_ref("atoll/test", second);
    served.update_summary();
    const std::string option = "--repo=" + served.path();
    BOOST_TEST(base::run_checked({"ostree", option, "rev-parse", "atoll/test"}) == second + "\n");
    base::run_checked({"ostree", option, "fsck", "--quiet"});
    BOOST_TEST(base::run_checked({"ostree", option, "ls", first}).find("/usr") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(errors_name_the_repository) {
    const base::TempDir directory;
    base::make_directories(directory / "bad");
    base::write_durable(directory / "bad/config", "[core]\nrepo_version=1\nmode=bare\n");
    BOOST_TEST(message_of([&] { Repository::open_or_create(directory / "bad"); }).find(directory / "bad") !=
               std::string::npos);
    Repository repository = Repository::open_or_create(directory / "repo");
    BOOST_TEST(message_of([&] { repository.commit(request(directory / "nowhere")); }).find("nowhere") !=
               std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
