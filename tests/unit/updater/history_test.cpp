#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "updater/history.hpp"

using namespace updater;

BOOST_AUTO_TEST_SUITE(updater_history)

BOOST_AUTO_TEST_CASE(kept_and_bounded) {
    const base::TempDir directory;
    const std::string path = directory / "history.json";
    {
        History history(path);
        for (std::size_t index = 0; index < History::max_entries + 5; ++index)
            history.add(fmt::format("event {}", index), {"1", "", ""}, "detail");
    }
    const History read(path);
    BOOST_TEST_REQUIRE(read.entries().size() == History::max_entries);
    BOOST_TEST(read.entries().front().event == "event 5");
    BOOST_TEST(read.entries().back().release.version == "1");
    BOOST_TEST(read.entries().back().time > 0);
}

BOOST_AUTO_TEST_CASE(a_damaged_file_starts_anew) {
    const base::TempDir directory;
    const std::string path = directory / "history.json";
    base::write_durable(path, "[{");
    History history(path);
    BOOST_TEST(history.entries().empty());
    history.add("event", {});
    BOOST_TEST(History(path).entries().size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_disk_that_takes_nothing_is_no_failure) {
    History history("/proc/nowhere/history.json");
    BOOST_CHECK_NO_THROW(history.add("event", {}));
    BOOST_TEST(history.entries().size() == 1U);
}

BOOST_AUTO_TEST_CASE(damaged_documents) {
    for (const char* bad : {"", "{}", "[1]", R"([{"time":"x"}])"})
        BOOST_CHECK_THROW(History::parse(bad, "history"), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
