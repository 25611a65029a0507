#include "base/signed_text.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/sha256.hpp"

using base::SignedText;

namespace {

const std::string signature(64, 'x');
const std::string line = "signature " + base::base64_encode(signature) + "\n";

bool refused(const std::string& file) {
    try {
        SignedText::parse(file, "channel", "file");
        return false;
    } catch (const base::Error& error) {
        return std::string(error.what()).starts_with("file: ");
    }
}

} // namespace

BOOST_AUTO_TEST_SUITE(signed_text)

BOOST_AUTO_TEST_CASE(written_and_read_again) {
    const SignedText text{"channel", {signature, std::string(64, '\0')}, "{}\n\nsignature of nobody\n"};
    const SignedText again = SignedText::parse(text.serialize(), "channel", "file");
    BOOST_TEST(again.text == text.text);
    BOOST_TEST(again.signatures == text.signatures, boost::test_tools::per_element());
    BOOST_TEST(again.message() == "atoll-signed 1 channel\n\n{}\n\nsignature of nobody\n");
    BOOST_TEST(SignedText::parse("atoll-signed 1 channel\n\n", "channel", "file").signatures.empty());
}

BOOST_AUTO_TEST_CASE(everything_else_is_refused) {
    const std::string head = "atoll-signed 1 channel\n";
    BOOST_TEST(!refused(head + line + "\n{}"));
    for (const std::string& file :
         {std::string(), std::string("{}"), std::string("atoll-signed 1 keys\n\n{}"),
          std::string("atoll-signed 2 channel\n\n{}"), " " + head + "\n{}", head + "{}", head + line,
          head + line + "{}\n", head + "signature \n\n", head + "signature " + base::base64_encode("short") + "\n\n",
          head + "signature " + std::string(88, '=') + "\n\n", head + "signature " + std::string(86, '!') + "==\n\n",
          head + "Signature " + base::base64_encode(signature) + "\n\n", head + "\r\n{}"})
        BOOST_TEST(refused(file), file);
    std::string many = head;
    for (std::size_t count = 0; count <= SignedText::max_signatures; ++count)
        many += line;
    BOOST_TEST(refused(many + "\n"));
}

BOOST_AUTO_TEST_SUITE_END()
