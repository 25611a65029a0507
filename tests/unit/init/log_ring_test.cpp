#include "log_ring.hpp"

#include <boost/test/unit_test.hpp>

#include <deque>
#include <memory>
#include <random>
#include <string>

BOOST_AUTO_TEST_SUITE(log_ring)

BOOST_AUTO_TEST_CASE(reads_what_was_pushed) {
    const auto ring = std::make_unique<init::LogRing>();
    init::LogRing::Line line;
    BOOST_TEST(!ring->read(0, line));
    ring->push(4, 77, "first");
    ring->push(6, 78, "");
    BOOST_REQUIRE(ring->read(0, line));
    BOOST_TEST(line.text == "first");
    BOOST_TEST(line.level == 4U);
    BOOST_TEST(line.usec == 77U);
    BOOST_REQUIRE(ring->read(1, line));
    BOOST_TEST(line.text == "");
    BOOST_TEST(!ring->read(2, line));
    BOOST_TEST(ring->next() == 2U);
}

BOOST_AUTO_TEST_CASE(cuts_long_lines) {
    const auto ring = std::make_unique<init::LogRing>();
    ring->push(6, 0, std::string(5000, 'x'));
    init::LogRing::Line line;
    BOOST_REQUIRE(ring->read(0, line));
    BOOST_TEST(line.text.size() == init::LogRing::max_text);
}

// Against a model: whatever is pushed, every line still there is whole and the newest are kept.
BOOST_AUTO_TEST_CASE(drops_the_oldest_and_keeps_the_rest_whole) {
    const auto ring = std::make_unique<init::LogRing>();
    std::deque<std::string> model;
    std::mt19937 random(4711);
    std::uint64_t pushed = 0;
    for (int round = 0; round < 20'000; ++round) {
        const std::size_t kind = random() % 10;
        const std::size_t size = kind == 0 ? 0 : kind < 8 ? random() % 120 : random() % 1200;
        const std::string text(size, static_cast<char>('a' + random() % 26));
        ring->push(6, pushed, text);
        model.push_back(text.substr(0, init::LogRing::max_text));
        ++pushed;
        if (model.size() > init::LogRing::line_count)
            model.pop_front();
        BOOST_REQUIRE(ring->next() == pushed);
        BOOST_REQUIRE(ring->next() - ring->oldest() <= init::LogRing::line_count);
        if (round % 500 != 499)
            continue;
        std::size_t bytes = 0;
        init::LogRing::Line line;
        for (std::uint64_t sequence = ring->oldest(); ring->read(sequence, line); sequence = line.sequence + 1) {
            BOOST_REQUIRE(line.sequence == sequence);
            BOOST_REQUIRE(line.text == model[model.size() - (pushed - sequence)]);
            bytes += line.text.size();
        }
        // It is full: dropping more than the wrap needs would be a defect too.
        BOOST_REQUIRE((ring->next() - ring->oldest() == init::LogRing::line_count ||
                       bytes + 2 * init::LogRing::max_text >= init::LogRing::text_size || pushed < 1000));
    }
}

BOOST_AUTO_TEST_CASE(a_reader_that_is_late_sees_a_gap) {
    const auto ring = std::make_unique<init::LogRing>();
    for (int i = 0; i < 3000; ++i)
        ring->push(6, 0, "line");
    init::LogRing::Line line;
    BOOST_REQUIRE(ring->read(5, line));
    BOOST_TEST(line.sequence == ring->oldest());
    BOOST_TEST(line.sequence == 3000 - init::LogRing::line_count);
}

BOOST_AUTO_TEST_SUITE_END()
