#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "updater/record.hpp"

using namespace updater;

namespace {

const Release release{"2", std::string(64, 'b'), "0000000000000002"};

Receipt receipt(const std::string& revision) {
    Receipt made;
    made.release = {"2", std::string(64, 'b'), revision};
    made.found_by = "updaterd";
    made.check = "service network is healthy";
    made.detail = "health unhealthy";
    made.log = {"one", "two"};
    made.boots = 2;
    made.time = 1000;
    made.fell_back_to = {"1", std::string(64, 'a'), "0000000000000001"};
    return made;
}

} // namespace

BOOST_AUTO_TEST_SUITE(updater_record)

BOOST_AUTO_TEST_CASE(everything_comes_back) {
    Record record;
    record.state = State::staged;
    record.judgement = State::rolled_back;
    record.boot_id = "boot";
    record.last_error = "it \"failed\"";
    record.staged = StagedUpdate{release, "atoll/stable", 5};
    record.pending = PendingBoot{"rollback", release, {"1", "", ""}, "boot"};
    record.trial = Trial{"0000000000000002", 2, "boot", 1234};
    record.add_receipt(receipt("0000000000000002"));
    const Record read = parse_record(serialize_record(record), "state");
    BOOST_TEST((read.state == State::staged));
    BOOST_TEST((read.judgement == State::rolled_back));
    BOOST_TEST(read.boot_id == "boot");
    BOOST_TEST(read.last_error == record.last_error);
    BOOST_TEST_REQUIRE(read.staged.has_value());
    BOOST_TEST((read.staged->release == release));
    BOOST_TEST(read.staged->ref == "atoll/stable");
    BOOST_TEST(read.staged->time == 5);
    BOOST_TEST_REQUIRE(read.pending.has_value());
    BOOST_TEST(read.pending->kind == "rollback");
    BOOST_TEST((read.pending->target == release));
    BOOST_TEST_REQUIRE(read.trial.has_value());
    BOOST_TEST(read.trial->boots == 2U);
    BOOST_TEST(read.trial->started_ms == 1234);
    BOOST_TEST_REQUIRE(read.receipts.size() == 1U);
    BOOST_TEST(read.receipts[0].log == record.receipts[0].log, boost::test_tools::per_element());
    BOOST_TEST(read.receipts[0].fell_back_to.version == "1");
    BOOST_TEST(serialize_record(read) == serialize_record(record));
}

BOOST_AUTO_TEST_CASE(what_a_newer_release_wrote_is_read) {
    const Record read =
        parse_record(R"({"state":"good","judgement":"good","later":{"a":[1]},"trial":{"more":1}})", "s");
    BOOST_TEST((read.state == State::good));
    BOOST_TEST(!read.staged.has_value());
    BOOST_TEST((parse_record("{}", "s").state == State::idle));
}

BOOST_AUTO_TEST_CASE(damaged_documents) {
    for (const char* bad : {"", "[]", "{", R"({"state":"nonsense"})", R"({"state":1})", R"({"staged":[]})",
                            R"({"receipts":{}})", R"({"receipts":[1]})", R"({"trial":{"boots":"x"}})"})
        BOOST_CHECK_THROW(parse_record(bad, "state"), base::Error);
    // A judgement is only ever one of three.
    BOOST_TEST((parse_record(R"({"judgement":"trying"})", "s").judgement == State::idle));
    BOOST_TEST(parse_record(R"({"trial":{"boots":-5}})", "s").trial->boots == 0U);
}

BOOST_AUTO_TEST_CASE(a_damaged_file_is_put_aside) {
    const base::TempDir directory;
    const std::string path = directory / "state.json";
    BOOST_TEST((load_record(path).state == State::idle));
    base::write_durable(path, "{\"state\"");
    BOOST_TEST((load_record(path).state == State::idle));
    BOOST_TEST(base::read_file(path + ".bad") == "{\"state\"");
    Record record;
    record.state = State::good;
    save_record(path, record);
    BOOST_TEST((load_record(path).state == State::good));
}

BOOST_AUTO_TEST_CASE(receipts_are_bounded_and_one_a_revision) {
    Record record;
    for (unsigned index = 0; index < 40; ++index)
        record.add_receipt(receipt(fmt::format("{:016x}", index)));
    BOOST_TEST(record.receipts.size() == Record::max_receipts);
    BOOST_TEST(record.receipts.back().release.revision == "0000000000000027");
    Receipt again = receipt("0000000000000027");
    again.check = "another";
    record.add_receipt(again);
    BOOST_TEST(record.receipts.size() == Record::max_receipts);
    BOOST_TEST(record.receipt_of("0000000000000027")->check == "another");
    BOOST_TEST(record.receipt_of("") == nullptr);
}

BOOST_AUTO_TEST_CASE(text_in_receipts_is_plain_and_bounded) {
    Record record;
    Receipt made = receipt("0000000000000002");
    made.log.assign(100, std::string(2000, '\xff'));
    made.detail = "\x1b[31m";
    record.add_receipt(made);
    BOOST_TEST(record.receipts[0].log.size() == Receipt::max_log_lines);
    BOOST_TEST(record.receipts[0].log[0] == std::string(Receipt::max_line_bytes, '?'));
    BOOST_TEST(record.receipts[0].detail == "?[31m");
    BOOST_CHECK_NO_THROW(parse_record(serialize_record(record), "state"));
}

BOOST_AUTO_TEST_CASE(deployment_alone_is_condemned) {
    Record record;
    Receipt receipt;
    receipt.release = {"1", std::string(64, 'b'), "00000000000000aa"};
    receipt.revision_only = true;
    record.add_receipt(receipt);
    record = parse_record(serialize_record(record), "state.json");
    BOOST_TEST(record.condemned(std::string(64, 'b')) == nullptr);
    BOOST_TEST_REQUIRE(record.receipt_of("00000000000000aa") != nullptr);
    record.pardon({"1", std::string(64, 'b'), "00000000000000bb"}); // another deployment of the commit
    BOOST_TEST(record.receipt_of("00000000000000aa")->condemned);
    record.pardon({"1", std::string(64, 'b'), "00000000000000aa"});
    BOOST_TEST(!record.receipt_of("00000000000000aa")->condemned);
}

BOOST_AUTO_TEST_CASE(condemned_until_pardoned) {
    Record record;
    record.add_receipt(receipt("0000000000000002"));
    BOOST_TEST(record.condemned(std::string(64, 'b')) != nullptr);
    BOOST_TEST(record.condemned(std::string(64, 'c')) == nullptr);
    BOOST_TEST(record.condemned("") == nullptr);
    record.pardon({"", std::string(64, 'b'), ""});
    BOOST_TEST(record.condemned(std::string(64, 'b')) == nullptr);
    BOOST_TEST(record.receipts.size() == 1U);
}

BOOST_AUTO_TEST_CASE(where_a_job_goes_back_to) {
    Record record;
    record.judgement = State::rolled_back;
    BOOST_TEST((record.resting() == State::rolled_back));
    record.staged = StagedUpdate{};
    BOOST_TEST((record.resting() == State::staged));
}

BOOST_AUTO_TEST_CASE(names_for_messages) {
    BOOST_TEST(release.describe() == "2 (revision 0000000000000002)");
    BOOST_TEST((Release{"", std::string(64, 'b'), ""}.describe() == "bbbbbbbbbbbb"));
    BOOST_TEST(Release{}.describe() == "unknown release");
}

BOOST_AUTO_TEST_SUITE_END()
