#include "runtime/state.hpp"

#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "runtime/runtime.hpp"

using namespace engine::runtime;

namespace {

struct Fixture {
    ContainerState sample() {
        ContainerState state;
        state.id = "box-1";
        state.oci_version = "1.1.0";
        state.bundle = "/b";
        state.pid = getpid();
        state.start_time = process_start_time(getpid()).value();
        state.annotations = {{"a", "1"}};
        return state;
    }
    base::TempDir directory;
    StateStore store{directory / "root"};
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(state, Fixture)

BOOST_AUTO_TEST_CASE(what_is_saved_is_loaded) {
    const base::UniqueFd lock = store.claim("box-1");
    const ContainerState saved = sample();
    store.save(saved);
    const ContainerState loaded = store.load("box-1");
    BOOST_TEST(loaded.pid == saved.pid);
    BOOST_TEST(loaded.start_time == saved.start_time);
    BOOST_TEST((loaded.annotations == saved.annotations));
    BOOST_TEST(store.ids().size() == 1U);
    store.remove("box-1");
    BOOST_CHECK_THROW(store.load("box-1"), NoSuchContainer);
}

BOOST_AUTO_TEST_CASE(an_id_is_claimed_once) {
    const base::UniqueFd lock = store.claim("box-1");
    BOOST_CHECK_THROW(store.claim("box-1"), base::Error);
}

BOOST_AUTO_TEST_CASE(ids_that_lead_elsewhere_are_refused) {
    for (const char* id : {"", ".", "..", "../x", "a/b", ".filters", "a b", "a\nb", "\xc3\xa4"})
        BOOST_CHECK_THROW(store.claim(id), base::Error);
    BOOST_CHECK_THROW(store.claim(std::string(256, 'a')), base::Error);
    BOOST_CHECK_NO_THROW(check_id("Az09_+-."));
}

BOOST_AUTO_TEST_CASE(status_is_the_process_one) {
    const base::UniqueFd lock = store.claim("box-1");
    ContainerState one = sample();
    BOOST_TEST((store.status(one) == Status::running));
    replace_file(store.start_socket("box-1"), "", 0600);
    BOOST_TEST((store.status(one) == Status::created));
    ++one.start_time; // another process has the pid now
    BOOST_TEST((store.status(one) == Status::stopped));
    one.pid = 0;
    BOOST_TEST((store.status(one) == Status::creating));
}

BOOST_AUTO_TEST_CASE(a_reaped_process_has_no_start_time) {
    BOOST_TEST(process_start_time(getpid()).has_value());
    BOOST_TEST(!process_start_time(0x3fffffff));
}

BOOST_AUTO_TEST_CASE(damaged_state_is_an_error_with_its_path) {
    const base::UniqueFd lock = store.claim("box-1");
    replace_file(store.directory("box-1") + "/state.json", "{", 0600);
    BOOST_CHECK_EXCEPTION(store.load("box-1"), base::Error, [&](const base::Error& error) {
        return std::string(error.what()).find("box-1/state.json") != std::string::npos;
    });
}

BOOST_AUTO_TEST_CASE(documents_are_json) {
    const std::string text = state_document(sample(), Status::running, true);
    BOOST_TEST(text.find("\"status\": \"running\"") != std::string::npos);
    BOOST_TEST(text.find("\"pid\": " + std::to_string(getpid())) != std::string::npos);
    BOOST_TEST(state_document(sample(), Status::stopped, false).find("\"pid\":0") != std::string::npos);
    BOOST_TEST(features_document().find("\"SCMP_ACT_NOTIFY\"") != std::string::npos);
    for (const bool rootless : {false, true}) {
        const Config config = parse_config(default_config(rootless), "spec", "/b");
        BOOST_TEST(config.linux_part.uid_mappings.size() == (rootless ? 1U : 0U));
    }
}

BOOST_AUTO_TEST_SUITE_END()
