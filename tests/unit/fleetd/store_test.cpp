#include <boost/test/unit_test.hpp>

#include <sys/wait.h>

#include <fstream>
#include <thread>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"
#include "fleetd/store.hpp"
#include "store/change_log.hpp"
#include "store/sqlite.hpp"

using namespace fleet;
using namespace std::chrono_literals;

namespace {

struct Fixture {
    base::TempDir directory{"fleet-store"};
    std::string path = directory / "fleet.db";
    std::unique_ptr<Store> store = open_sqlite_store(path);

    void reopen() {
        store.reset();
        store = open_sqlite_store(path);
    }
    std::string value(const std::string& key) { return store->get(key).value().value; }
};

bool mentions(const base::Error& error, const std::string& text) {
    return std::string(error.what()).find(text) != std::string::npos;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(store, Fixture)

BOOST_AUTO_TEST_CASE(revisions_grow_with_every_commit) {
    const Revision first = store->put("a", "1");
    const Revision second = store->put("a", "2");
    BOOST_TEST(second > first);
    const Entry entry = store->get("a").value();
    BOOST_TEST(entry.value == "2");
    BOOST_TEST(entry.created == first);
    BOOST_TEST(entry.modified == second);
    BOOST_TEST(!store->get("b").has_value());
}

BOOST_AUTO_TEST_CASE(lists_by_prefix_in_order) {
    for (const char* key : {"u/b", "u/a", "v/a", "u", "u/%", "u/A"})
        store->put(key, key);
    store->put("u/session", "s", Lifetime::session);
    const Listing listing = store->list("u/");
    std::vector<std::string> keys;
    for (const Entry& entry : listing.entries)
        keys.push_back(entry.key);
    BOOST_TEST(keys == (std::vector<std::string>{"u/%", "u/A", "u/a", "u/b", "u/session"}),
               boost::test_tools::per_element());
    BOOST_TEST(listing.revision == 7);
    BOOST_TEST(store->list("").entries.size() == 7U);
    BOOST_TEST(store->list("u/%").entries.size() == 1U);
}

BOOST_AUTO_TEST_CASE(compare_and_swap_only_from_the_expected_revision) {
    BOOST_TEST(!store->compare_and_swap("a", 1, "x").has_value());
    const auto first = store->compare_and_swap("a", 0, "1");
    BOOST_REQUIRE(first);
    BOOST_TEST(!store->compare_and_swap("a", 0, "2").has_value());
    BOOST_TEST(store->compare_and_swap("a", *first, "2").has_value());
    BOOST_TEST(!store->compare_and_swap("a", *first, "3").has_value());
    BOOST_TEST(value("a") == "2");
}

BOOST_AUTO_TEST_CASE(a_commit_is_all_or_nothing) {
    store->put("a", "1");
    BOOST_TEST(!store->commit({{"a", 99}}, {{"a", "2"}, {"b", "2"}}).has_value());
    BOOST_TEST(value("a") == "1");
    BOOST_TEST(!store->get("b").has_value());
    const auto done = store->commit({{"a", 1}, {"b", 0}}, {{"a", std::nullopt}, {"b", "2"}});
    BOOST_TEST(done.value() == 2);
    BOOST_TEST(!store->get("a").has_value());
    BOOST_TEST(value("b") == "2");
}

BOOST_AUTO_TEST_CASE(removing_what_is_not_there_changes_nothing) {
    const Revision before = store->put("a", "1");
    BOOST_TEST(store->commit({}, {{"b", std::nullopt}}).value() == before);
}

BOOST_AUTO_TEST_CASE(durable_keys_outlive_the_process_and_session_keys_do_not) {
    store->put("durable", "1");
    store->put("session", "1", Lifetime::session);
    const std::string id = store->id();
    reopen();
    BOOST_TEST(store->id() == id);
    BOOST_TEST(value("durable") == "1");
    BOOST_TEST(!store->get("session").has_value());
    BOOST_TEST(store->put("durable", "2") > 1);
}

BOOST_AUTO_TEST_CASE(a_key_never_gets_an_old_revision_again) {
    const Revision first = store->put("a", "1");
    for (int i = 0; i < 10; ++i)
        store->put("session", std::to_string(i), Lifetime::session);
    reopen();
    BOOST_TEST(store->put("a", "2") > first);
}

BOOST_AUTO_TEST_CASE(two_stores_have_two_ids) {
    BOOST_TEST(open_sqlite_store(directory / "other.db")->id() != store->id());
    BOOST_TEST(store->id().size() == 32U);
}

BOOST_AUTO_TEST_CASE(concurrent_swaps_lose_no_update) {
    store->put("count", "0");
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int done = 0; done < 50;) {
                const Entry entry = store->get("count").value();
                done += store->compare_and_swap("count", entry.modified, std::to_string(std::stoi(entry.value) + 1))
                            .has_value();
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(value("count") == "200");
}

BOOST_AUTO_TEST_CASE(a_watch_sees_changes_after_its_revision) {
    const Revision before = store->put("u/a", "1");
    const auto watch = store->watch("u/", before);
    BOOST_TEST(watch->next(0ms)->empty());
    store->put("v/a", "1");
    store->put("u/b", "1", Lifetime::session);
    store->commit({}, {{"u/a", std::nullopt}});
    const auto changes = watch->next(1s);
    BOOST_REQUIRE(changes && changes->size() == 2);
    BOOST_TEST((*changes)[0].key == "u/b");
    BOOST_TEST(!(*changes)[0].removed);
    BOOST_TEST((*changes)[1].key == "u/a");
    BOOST_TEST((*changes)[1].removed);
    BOOST_TEST(watch->next(0ms)->empty());
}

BOOST_AUTO_TEST_CASE(a_watch_wakes_up) {
    const auto watch = store->watch("", 0);
    std::thread writer([&] { store->put("a", "1"); });
    const auto changes = watch->next(10s);
    writer.join();
    BOOST_TEST(changes->size() == 1U);
    std::thread interrupter([&] { watch->interrupt(); });
    BOOST_TEST(watch->next(60s)->empty());
    interrupter.join();
    watch->interrupt(); // before the wait: not lost
    BOOST_TEST(watch->next(60s)->empty());
}

BOOST_AUTO_TEST_CASE(a_watch_that_missed_changes_says_so) {
    const auto watch = store->watch("", 0);
    for (std::size_t i = 0; i <= ChangeLog::kept; ++i)
        store->put("a", "x", Lifetime::session);
    BOOST_TEST(!watch->next(0ms).has_value());
    BOOST_TEST(watch->next(0ms)->empty());
    store->put("a", "y", Lifetime::session);
    BOOST_TEST(watch->next(0ms)->size() == 1U);
    reopen();
    store->put("a", "1");
    reopen();
    BOOST_TEST(!store->watch("", 0)->next(0ms).has_value());
}

BOOST_AUTO_TEST_CASE(a_second_process_is_refused) {
    BOOST_CHECK_EXCEPTION(open_sqlite_store(path), base::Error,
                          [](const base::Error& error) { return mentions(error, "another process has it open"); });
}

BOOST_AUTO_TEST_CASE(a_later_schema_is_read_when_it_says_so) {
    store->put("a", "1");
    store.reset();
    {
        SqliteDatabase database(path);
        database.execute("PRAGMA user_version=2");
        database.execute("ALTER TABLE entries ADD COLUMN lease INTEGER NOT NULL DEFAULT 0");
        database.execute("CREATE TABLE history(key TEXT)");
    }
    store = open_sqlite_store(path);
    BOOST_TEST(value("a") == "1");
    store->put("a", "2");
    store->put("b", "1");
    store.reset();
    SqliteDatabase(path).execute("UPDATE facts SET value = '2' WHERE name = 'readable_from'");
    BOOST_CHECK_EXCEPTION(open_sqlite_store(path), base::Error,
                          [](const base::Error& error) { return mentions(error, "this release reads 1"); });
}

BOOST_AUTO_TEST_CASE(damage_is_refused) {
    for (int i = 0; i < 200; ++i)
        store->put("key" + std::to_string(i), std::string(500, 'x'));
    store.reset();
    {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(4096);
        file << std::string(8192, '\xff');
    }
    BOOST_CHECK_EXCEPTION(open_sqlite_store(path), base::Error,
                          [](const base::Error& error) { return mentions(error, "is damaged"); });
    std::ofstream(path, std::ios::trunc) << std::string(4096, 'x');
    BOOST_CHECK_EXCEPTION(open_sqlite_store(path), base::Error,
                          [](const base::Error& error) { return mentions(error, "is damaged"); });
}

// A process that is killed at any moment leaves every commit that it was told of, and no half of one.
BOOST_AUTO_TEST_CASE(what_was_committed_survives_a_kill) {
    store.reset();
    for (int round = 0; round < 5; ++round) {
        int pipe_fds[2];
        BOOST_REQUIRE(pipe(pipe_fds) == 0);
        base::UniqueFd reader(pipe_fds[0]);
        base::UniqueFd writer(pipe_fds[1]);
        const pid_t child = fork();
        if (child == 0) {
            try {
                const auto own = open_sqlite_store(path);
                for (int i = 0;; ++i) {
                    const std::string text = std::to_string(i);
                    own->commit({}, {{"left", text}, {"right", text}});
                    if (write(writer.get(), &i, sizeof i) != sizeof i)
                        _exit(1);
                }
            } catch (...) {
                _exit(2);
            }
        }
        writer.reset();
        int last = -1;
        while (last < 20 + round * 7)
            BOOST_REQUIRE(read(reader.get(), &last, sizeof last) == sizeof last);
        kill(child, SIGKILL);
        int status = 0;
        BOOST_REQUIRE(waitpid(child, &status, 0) == child);
        BOOST_REQUIRE(WIFSIGNALED(status));
        while (read(reader.get(), &last, sizeof last) == sizeof last) {
        }
        store = open_sqlite_store(path);
        BOOST_TEST(value("left") == value("right"));
        BOOST_TEST(std::stoi(value("left")) >= last);
        store.reset();
    }
}

BOOST_AUTO_TEST_SUITE_END()
