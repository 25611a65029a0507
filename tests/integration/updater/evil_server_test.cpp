// A server that means harm, and a signer who was careless: time may be lost; nothing is deployed, memory and disk stay
// bounded, and nothing is left behind.
#include <sys/socket.h>
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>

#include <thread>

#include "base/error.hpp"
#include "evil_commit.hpp"
#include "rig.hpp"

using namespace updater_test;

namespace {

constexpr std::uint32_t regular = S_IFREG | 0644;
constexpr std::uint32_t directory_mode = S_IFDIR | 0755;
constexpr long most_memory_kib = 64 * 1024;

long peak_memory(const base::RunResult& run) {
    const std::string word = "peak memory ";
    const std::size_t at = run.errors.find(word);
    return at == std::string::npos ? 0 : std::stol(run.errors.substr(at + word.size()));
}

std::string objects_path(const std::string& commit, const std::string& extension) {
    return "/objects/" + commit.substr(0, 2) + "/" + commit.substr(2) + "." + extension;
}

struct Victim : Rig {
    Victim() : evil(directory + "/server") {
        install(publish({.signers = {&key}}));
        commit = publish({.version = "2", .program = "two", .payload = 200'000, .signers = {&key}});
        before = listing();
    }
    EvilRepository evil;
    std::string commit;
    std::vector<std::string> before;

    void require_harmless(const std::string& text) {
        const base::RunResult run = pull();
        BOOST_TEST(run.status.code == 1);
        BOOST_TEST(run.output.find("\"error\"") != std::string::npos);
        BOOST_TEST(run.output.find(text) != std::string::npos, "expected " << text << "\n" << run.output << run.errors);
        BOOST_TEST(listing() == before, boost::test_tools::per_element());
        BOOST_TEST(leftovers().empty());
        BOOST_TEST(peak_memory(run) > 0);
        BOOST_TEST(peak_memory(run) <= most_memory_kib);
    }
    /// Answers of that path have no end.
    void endless(const std::string& end_of_path) {
        server->behave([end_of_path](const std::string& path, int connection) {
            if (!path.ends_with(end_of_path))
                return false;
            HttpFiles::send(connection, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            const std::string block(65536, 'x');
            while (HttpFiles::send(connection, block)) {
            }
            return true;
        });
    }
    /// Offers a hand-made commit, signed.
    void offer_signed(const std::string& checksum) {
        sign(checksum, {&key});
        offer({.commit = checksum}, {&key});
    }
    /// A tree that would do, but for what is in `bad` beside.
    void offer_root(const std::vector<std::pair<std::string, std::string>>& files,
                    const std::vector<EvilRepository::Directory>& directories) {
        const std::string root = evil.tree(files, directories);
        offer_signed(evil.commit(root, evil.meta(directory_mode)));
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(updater_evil_server, Victim)

BOOST_AUTO_TEST_CASE(bodies_without_an_end) {
    endless("/atoll/keys/1");
    require_harmless("answer larger than 65536 bytes");
    endless("/atoll/channels/atoll/stable");
    require_harmless("answer larger than 65536 bytes");
    endless(objects_path(commit, "commit"));
    require_harmless("answer larger than 8388608 bytes");
    endless(objects_path(commit, "commitmeta"));
    require_harmless("answer larger than 262144 bytes");
    endless(".filez");
    require_harmless("an object is larger than the");
    endless(".dirtree");
    require_harmless(commit);
}

BOOST_AUTO_TEST_CASE(headers_without_an_end) {
    for (const char* end_of_path : {"/atoll/channels/atoll/stable", ".filez"}) {
        server->behave([end_of_path](const std::string& path, int connection) {
            if (!path.ends_with(end_of_path))
                return false;
            HttpFiles::send(connection, "HTTP/1.1 200 OK\r\n");
            std::string block;
            for (unsigned count = 0; count < 1000; ++count)
                block += fmt::format("X-Header-{}: {}\r\n", count, std::string(50, 'x'));
            while (HttpFiles::send(connection, block)) {
            }
            return true;
        });
        const base::RunResult run = pull({"--stall", "3"});
        BOOST_TEST(run.status.code == 1);
        BOOST_TEST(run.output.find("\"error\"") != std::string::npos, run.output << run.errors);
        BOOST_TEST(peak_memory(run) <= most_memory_kib);
        BOOST_TEST(listing() == before, boost::test_tools::per_element());
    }
}

BOOST_AUTO_TEST_CASE(a_trickle_is_given_up_and_goes_on_later) {
    server->behave([this](const std::string& path, int connection) {
        if (!path.ends_with(".filez") || server->requests().size() < 12)
            return false;
        // Fast enough to be something every second, and far too slow.
        HttpFiles::send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n");
        while (HttpFiles::send(connection, "x"))
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        return true;
    });
    const base::RunResult run = pull({"--stall", "2"});
    BOOST_TEST(run.status.code == 1);
    BOOST_TEST(run.output.find("less than 1000 bytes a second came for 2 s") != std::string::npos,
               run.output << run.errors);
    BOOST_TEST(listing() == before, boost::test_tools::per_element());
    server->behave({});
    const base::RunResult again = pull();
    BOOST_TEST(again.status.success(), again.output << again.errors);
}

BOOST_AUTO_TEST_CASE(a_little_that_becomes_a_lot) {
    // The header is the real object's, what follows unpacks to 300 MB of zeros.
    const std::string object = object_path(commit, "/usr/bin/program");
    const std::string packed = base::run_checked({"sh", "-c", "head -c 300000000 /dev/zero | gzip -9"});
    const std::string header = base::read_file(object);
    const std::size_t header_size = 8 + static_cast<unsigned char>(header[3]);
    base::write_durable(object, header.substr(0, header_size) + packed.substr(10, packed.size() - 18));
    require_harmless("Writing content object");
}

BOOST_AUTO_TEST_CASE(redirections_lead_nowhere) {
    const auto redirect = [&](const std::string& end_of_path, const std::string& where) {
        server->behave([=](const std::string& path, int connection) {
            if (!path.ends_with(end_of_path))
                return false;
            HttpFiles::send(connection, "HTTP/1.1 302 Found\r\nLocation: " + where +
                                            "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            return true;
        });
    };
    redirect("/channels/atoll/stable", server->url() + "/atoll/channels/other");
    require_harmless("the server answered 302");
    redirect(".filez", "file:///etc/passwd");
    require_harmless("fetch commit " + commit);
}

BOOST_AUTO_TEST_CASE(names_that_lead_out_of_the_tree) {
    const std::string file = evil.file(regular, "content");
    const std::string meta = evil.meta(directory_mode);
    const std::string empty = evil.tree({}, {});
    for (const std::string& name :
         {std::string(".."), std::string("."), std::string(), std::string("a/b"), std::string("../../etc/passwd")}) {
        const std::string expected = name.empty() ? "is not a name" : "filename";
        offer_root({{name, file}}, {});
        require_harmless(expected);
        offer_root({}, {{name, empty, meta}});
        require_harmless(expected);
    }
}

BOOST_AUTO_TEST_CASE(modes_that_no_file_has) {
    const std::string meta = evil.meta(directory_mode);
    for (const std::uint32_t mode :
         {S_IFCHR | 0666U, S_IFBLK | 0666U, S_IFIFO | 0666U, S_IFSOCK | 0666U, S_IFDIR | 0755U, 0644U}) {
        offer_root({{"device", evil.file(mode, "")}}, {});
        require_harmless("invalid mode");
    }
    for (const std::uint32_t mode : {S_IFREG | 0755U, S_IFLNK | 0777U}) {
        offer_root({}, {{"directory", evil.tree({}, {}), evil.meta(mode)}});
        require_harmless("not a directory");
    }
}

BOOST_AUTO_TEST_CASE(files_with_privileges) {
    for (const char* mode : {"4755", "2755"}) {
        publish({.version = "2", .signers = {&key}, .spoil = [mode](const std::string& tree) {
                     base::run_checked(
                         {"sh", "-c", "echo x >" + tree + "/usr/bin/su && chmod " + mode + " " + tree + "/usr/bin/su"});
                 }});
        require_harmless("a setuid or setgid file");
    }
    publish(
        {.version = "2", .signers = {&key}, .spoil = [](const std::string& tree) {
             base::run_checked(
                 {"sh", "-c", "echo x >" + tree + "/usr/bin/ping && setcap cap_net_raw+ep " + tree + "/usr/bin/ping"});
         }});
    require_harmless("a file with capabilities");
}

BOOST_AUTO_TEST_CASE(trees_without_an_end) {
    const std::string meta = evil.meta(directory_mode);
    std::string below = evil.tree({}, {});
    for (int depth = 0; depth < 400; ++depth)
        below = evil.tree({}, {{fmt::format("d{}", depth), below, meta}});
    offer_root({}, {{"deep", below, meta}});
    require_harmless("directories deeper than 64");
    // 2^40 directories in 40 objects.
    below = evil.tree({}, {});
    for (int depth = 0; depth < 40; ++depth)
        below = evil.tree({}, {{"a", below, meta}, {"b", below, meta}});
    offer_root({}, {{"wide", below, meta}});
    require_harmless("more than 1000000 files");
    offer_root({{"twice", evil.file(regular, "a")}, {"twice", evil.file(regular, "b")}}, {});
    require_harmless("is not a name, or twice there");
    const std::string file = evil.file(regular, "content");
    std::vector<std::pair<std::string, std::string>> many;
    for (int count = 0; count < 250'000; ++count)
        many.emplace_back(fmt::format("{:08}", count), file);
    offer_root(many, {});
    require_harmless("exceeded maximum size");
}

BOOST_AUTO_TEST_CASE(objects_that_are_not_announced) {
    const std::string told = evil.file(regular, "told");
    const std::string root = evil.tree({{"file", told}}, {});
    EvilRepository careless(directory + "/server"); // knows nothing of the others
    const std::string meta = careless.meta(directory_mode);
    const std::string file = careless.file(regular, "not told");
    EvilRepository fresh(directory + "/server");
    const std::string tree = fresh.tree({{"file", file}}, {{"below", root, meta}});
    offer_signed(fresh.commit(tree, meta));
    require_harmless("is not among those whose sizes it tells");
}

BOOST_AUTO_TEST_SUITE_END()
