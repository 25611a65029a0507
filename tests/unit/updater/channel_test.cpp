#include "updater/channel.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "updater/trust_state.hpp"

using namespace updater;

namespace {

const std::string commit(64, 'a');
const std::string other(64, 'b');

std::string text(const std::string& more = {}) {
    return R"({"format":1,"stream":"atoll/stable","version":"2.0","commit":")" + commit +
           R"(","issued":1000,"expires":2000)" + more + "}";
}

Channel channel() {
    return Channel::parse(text(R"(,"rollout":20,"minimum_version":"1.5")"), "channel");
}

ChannelFacts facts() {
    ChannelFacts known;
    known.stream = "atoll/stable";
    known.clock = 1500;
    return known;
}

std::string refusal(const Channel& offered, const ChannelFacts& known) {
    try {
        require_usable(offered, known);
        return {};
    } catch (const base::Error& error) {
        return error.what();
    }
}

} // namespace

BOOST_AUTO_TEST_SUITE(updater_channel)

BOOST_AUTO_TEST_CASE(read) {
    const Channel parsed = Channel::parse(
        text(R"(,"rollout":20,"minimum_version":"1.5","from_the_future":[{}],"deltas":[{"from":")" + other +
             R"(","to":")" + commit + R"(","size":300,"superblock_size":100,"sha256":")" + other + R"("}])"),
        "channel");
    BOOST_TEST(parsed.release.version == "2.0");
    BOOST_TEST(parsed.rollout == 20U);
    BOOST_TEST(parsed.release.minimum_version == "1.5");
    BOOST_TEST_REQUIRE(parsed.delta(other, commit) != nullptr);
    BOOST_TEST(parsed.delta(other, commit)->size == 300U);
    BOOST_TEST(parsed.delta(commit, commit) == nullptr);
    BOOST_TEST(Channel::parse(text(), "channel").rollout == 100U);
}

BOOST_AUTO_TEST_CASE(releases_offered_before) {
    const auto release = [](const std::string& version, const std::string& more = {}) {
        return R"({"version":")" + version + R"(","commit":")" + other + "\"" + more + "}";
    };
    const auto history = [](const std::string& members) {
        return text(R"(,"history":[)" + members + "]");
    };
    const Channel parsed =
        Channel::parse(history(release("1.9", R"(,"minimum_version":"1.5")") + "," + release("1.0")), "channel");
    BOOST_TEST(parsed.find("2.0").commit == commit);
    BOOST_TEST(parsed.find("1.9").commit == other);
    BOOST_TEST(parsed.find("1.9").minimum_version == "1.5");
    BOOST_CHECK_EXCEPTION(parsed.find("7"), base::Error, [](const base::Error& error) {
        return error.what() == std::string("atoll/stable has no version 7: it offers 2.0, and before it 1.9, 1.0");
    });
    BOOST_CHECK_NO_THROW(require_reachable(parsed.find("1.9"), "1.5"));
    BOOST_CHECK_NO_THROW(require_reachable(parsed.find("1.9"), ""));
    BOOST_CHECK_NO_THROW(require_reachable(parsed.find("1.0"), "0.1"));
    BOOST_CHECK_EXCEPTION(require_reachable(parsed.find("1.9"), "1.4"), base::Error, [](const base::Error& error) {
        return std::string(error.what()).find("go through version 1.5 first") != std::string::npos;
    });
    std::string many = release("1");
    for (std::size_t count = 0; count < Channel::max_history; ++count)
        many += "," + release("1");
    for (const std::string& bad :
         {std::string("1"), std::string("{}"), release("1;2"), release("1", R"(,"minimum_version":1)"), many})
        BOOST_CHECK_THROW(Channel::parse(history(bad), "channel"), base::Error);
}

BOOST_AUTO_TEST_CASE(bad_ones_are_refused) {
    const auto delta = [](const std::string& members) {
        return text(R"(,"deltas":[{)" + members + "}]");
    };
    const std::string ends = R"("from":")" + other + R"(","to":")" + commit + R"(","sha256":")" + other + R"(",)";
    for (const std::string& bad :
         {std::string("{}"), std::string("[]"), text(R"(,"rollout":101)"), text(R"(,"rollout":-1)"),
          text(R"(,"rollout":"20")"), text(R"(,"rollout":1.5)"), text(R"(,"issued":1)"),
          text(R"(,"minimum_version":"1; reboot")"), text(R"(,"deltas":[1])"), text(R"(,"deltas":{})"),
          delta(R"("from":"x")"), delta(ends + R"("size":1,"superblock_size":2)"),
          delta(ends + R"("size":1,"superblock_size":0)"), delta(ends + R"("size":99999999999,"superblock_size":2)"),
          text("") + "x"})
        BOOST_CHECK_THROW(Channel::parse(bad, "channel"), base::Error);
    const auto changed = [](const std::string& from, const std::string& to) {
        std::string all = text();
        return all.replace(all.find(from), from.size(), to);
    };
    for (const std::string& bad :
         {changed("\"format\":1", "\"format\":2"), changed("atoll/stable", "../stable"), changed("2.0", "2 $x"),
          changed("2.0", ""), changed(commit, commit.substr(1)), changed("1000", "-1"), changed("2000", "999"),
          changed("2000", "1e30"), changed("\"2.0\"", "2.0"), changed("\"issued\":1000,", "")})
        BOOST_CHECK_THROW(Channel::parse(bad, "channel"), base::Error);
    BOOST_CHECK_THROW(Channel::parse(text() + std::string(Channel::max_bytes, ' '), "channel"), base::Error);
    std::string many = R"(,"deltas":[)";
    for (std::size_t count = 0; count <= Channel::max_deltas; ++count)
        many += (count == 0 ? "{" : ",{") + ends + R"("size":3,"superblock_size":2})";
    BOOST_CHECK_THROW(Channel::parse(text(many + "]"), "channel"), base::Error);
}

BOOST_AUTO_TEST_CASE(what_may_be_used) {
    BOOST_TEST(refusal(channel(), facts()).empty());
    ChannelFacts known = facts();
    known.stream = "atoll/testing";
    BOOST_TEST(refusal(channel(), known).find("is of stream atoll/stable") != std::string::npos);
    known = facts();
    known.last_issued = 1000;
    BOOST_TEST(refusal(channel(), known).empty()); // the same file again
    known.last_issued = 1001;
    BOOST_TEST(refusal(channel(), known).find("older (issued 1000) than one seen before") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(time) {
    ChannelFacts known = facts();
    BOOST_TEST(require_usable(channel(), known) == 1500);
    known.clock = 2000;
    BOOST_TEST(refusal(channel(), known).find("expired at 2000") != std::string::npos);
    // A clock in the past does not bring an expired file back to life: what is surely past counts.
    known.clock = 0;
    known.floor = 2500;
    BOOST_TEST(refusal(channel(), known).find("expired") != std::string::npos);
    // Without any idea of the time the file's own is taken.
    known.floor = 0;
    BOOST_TEST(require_usable(channel(), known) == 1000);
}

BOOST_AUTO_TEST_CASE(places_in_a_rollout) {
    const std::string id = "0123456789abcdef0123456789abcdef";
    const unsigned place = rollout_place(id, "atoll/stable", "2.0");
    BOOST_TEST(place == rollout_place(id, "atoll/stable", "2.0"));
    BOOST_TEST(place != rollout_place(id, "atoll/stable", "2.1"));
    BOOST_TEST(rollout_place("", "atoll/stable", "2.0") == 9999U);
    // Of many hosts about as many are in as there should be; who is in at 20 % is in at 50 %.
    unsigned in = 0;
    Channel offered = channel();
    for (unsigned host = 0; host < 2000; ++host) {
        const std::string name = fmt::format("{:032x}", host);
        offered.rollout = 20;
        const bool early = is_in_rollout(offered, name);
        in += early ? 1U : 0U;
        offered.rollout = 50;
        BOOST_TEST((!early || is_in_rollout(offered, name)));
    }
    BOOST_TEST(in > 300U);
    BOOST_TEST(in < 500U);
    offered.rollout = 0;
    BOOST_TEST(!is_in_rollout(offered, id));
    offered.rollout = 100;
    BOOST_TEST(is_in_rollout(offered, ""));
}

BOOST_AUTO_TEST_CASE(what_was_seen_is_kept) {
    TrustState state;
    state.time = 5;
    state.issued["atoll/stable"] = 7;
    state.key_set = "text\n";
    BOOST_TEST((TrustState::parse(state.serialize(), "trust") == state));
    BOOST_TEST((TrustState::parse("{\"more\":1}", "trust") == TrustState{}));
    BOOST_TEST((TrustState::load("/nonexistent/trust.json") == TrustState{}));
    BOOST_CHECK_THROW(TrustState::parse("{\"issued\":{\"a\":\"b\"}}", "trust"), base::Error);
    BOOST_CHECK_THROW(TrustState::parse("", "trust"), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
