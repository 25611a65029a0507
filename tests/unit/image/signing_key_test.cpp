#include <sys/stat.h>

#include <boost/test/unit_test.hpp>

#include "base/files.hpp"
#include "base/sha256.hpp"
#include "image/signing_key.hpp"
#include "test_files.hpp"

using image::SigningKey;

namespace {

std::string from_hex(const std::string& hex) {
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2)
        bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return bytes;
}

// RFC 8032, section 7.1, test 2.
const std::string seed = from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
const std::string public_key = from_hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
const std::string signature = from_hex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                                       "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");

} // namespace

BOOST_AUTO_TEST_SUITE(signing_key)

BOOST_AUTO_TEST_CASE(rfc_8032_vector) {
    const SigningKey key = SigningKey::parse(base::base64_encode(seed + public_key) + "\n", "k");
    BOOST_TEST(key.sign("\x72") == signature);
    BOOST_TEST(key.public_key_base64() == base::base64_encode(public_key));
    BOOST_TEST(image::verify_ed25519(public_key, "\x72", signature));
    BOOST_TEST(!image::verify_ed25519(public_key, "\x73", signature));
    BOOST_TEST(!image::verify_ed25519(public_key, "\x72", signature.substr(1)));
    BOOST_TEST(!image::verify_ed25519(seed, "\x72", signature));
}

BOOST_AUTO_TEST_CASE(new_keys_differ_and_work) {
    const SigningKey one = SigningKey::generate();
    const SigningKey two = SigningKey::generate();
    BOOST_TEST(one.public_key_base64() != two.public_key_base64());
    const SigningKey again = SigningKey::parse(one.secret_key_base64(), "k");
    BOOST_TEST(image::verify_ed25519(base::base64_decode(one.public_key_base64()), "text", again.sign("text")));
}

BOOST_AUTO_TEST_CASE(what_is_no_key_is_refused_by_name) {
    const auto problem = [](const std::string& text) {
        return message_of([&] { SigningKey::parse(text, "release.key"); });
    };
    for (const std::string& text : {std::string(), std::string("%%"), base::base64_encode(seed),
                                    base::base64_encode(seed + seed), base::base64_encode(seed + public_key + "x")})
        BOOST_TEST(problem(text).starts_with("release.key: not an ed25519 secret key"), text);
}

BOOST_AUTO_TEST_CASE(a_key_that_others_can_read_is_refused) {
    const base::TempDir directory;
    const std::string path = directory / "key";
    base::write_durable(path, base::base64_encode(seed + public_key), 0600);
    BOOST_TEST(SigningKey::load(path).sign("\x72") == signature);
    BOOST_REQUIRE(::chmod(path.c_str(), 0640) == 0);
    BOOST_TEST(message_of([&] { SigningKey::load(path); }).find("others can read") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
