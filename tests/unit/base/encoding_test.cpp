#include "base/error.hpp"
#include "base/sha256.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(encoding)

// RFC 4648 section 10.
BOOST_AUTO_TEST_CASE(base64_test_vectors) {
    const std::vector<std::pair<std::string, std::string>> vectors{{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"}};
    for (const auto& [plain, encoded] : vectors) {
        BOOST_TEST(base::base64_encode(plain) == encoded);
        BOOST_TEST(base::base64_decode(encoded) == plain);
    }
}

BOOST_AUTO_TEST_CASE(base64_refuses_what_is_not_canonical) {
    for (const std::string bad : {"Zg=", "Zg", "Zh==", "Z===", "Zm9=v", "Zm 9", "Zm9v\n", "===="})
        BOOST_CHECK_THROW(base::base64_decode(bad), base::Error);
}

// FIPS 180-2 appendix B.1, and the empty message.
BOOST_AUTO_TEST_CASE(sha256_test_vectors) {
    BOOST_TEST(base::sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    BOOST_TEST(base::sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    BOOST_TEST(base::is_sha256_hex(base::sha256_hex("x")));
    BOOST_TEST(!base::is_sha256_hex("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"));
}

BOOST_AUTO_TEST_SUITE_END()
