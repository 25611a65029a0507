#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/sha256.hpp"
#include "updater/trust.hpp"

using namespace updater;

namespace {

std::string from_hex(std::string_view hex) {
    std::string bytes;
    for (std::size_t index = 0; index + 1 < hex.size(); index += 2)
        bytes += static_cast<char>(std::stoi(std::string(hex.substr(index, 2)), nullptr, 16));
    return bytes;
}

PublicKey key_of(std::string_view hex) {
    const std::string bytes = from_hex(hex);
    PublicKey key;
    std::copy(bytes.begin(), bytes.end(), key.begin());
    return key;
}

// RFC 8032, section 7.1, tests 2 and 3.
const PublicKey key_two = key_of("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
const std::string data_two = from_hex("72");
const std::string signature_two = from_hex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                                           "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
const PublicKey key_three = key_of("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
const std::string data_three = from_hex("af82");
const std::string signature_three = from_hex("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                                             "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a");

std::string base64(const PublicKey& key) {
    return base::base64_encode(std::string_view(reinterpret_cast<const char*>(key.data()), key.size()));
}

} // namespace

BOOST_AUTO_TEST_SUITE(updater_trust)

BOOST_AUTO_TEST_CASE(signatures_of_the_standard) {
    const TrustedKeys keys({key_two, key_three, key_two}, {});
    BOOST_TEST(keys.keys().size() == 2U);
    BOOST_TEST(keys.count_good(data_two, {signature_two}) == 1U);
    BOOST_TEST(keys.count_good(data_three, {signature_three}) == 1U);
    BOOST_TEST(keys.count_good(data_two, {signature_three}) == 0U);
    BOOST_TEST(keys.count_good("s", {signature_two}) == 0U);
    // The same key twice is one key.
    BOOST_TEST(keys.count_good(data_two, {signature_two, signature_two}) == 1U);
}

BOOST_AUTO_TEST_CASE(every_bit_counts) {
    const TrustedKeys keys({key_two}, {});
    for (const std::size_t byte : {0U, 31U, 32U, 63U}) {
        std::string signature = signature_two;
        signature[byte] = static_cast<char>(signature[byte] ^ 1);
        BOOST_TEST(keys.count_good(data_two, {signature}) == 0U);
    }
    for (const std::string& wrong :
         {std::string(), signature_two + "x", signature_two.substr(0, 63), std::string(64, '\0')})
        BOOST_TEST(keys.count_good(data_two, {wrong}) == 0U);
}

BOOST_AUTO_TEST_CASE(what_is_required) {
    const TrustedKeys keys({key_two, key_three}, {});
    BOOST_CHECK_NO_THROW(keys.require(data_two, {std::string(64, 'x'), signature_two}, 1, "commit"));
    BOOST_CHECK_THROW(keys.require(data_two, {signature_two}, 2, "commit"), base::Error);
    BOOST_CHECK_THROW(keys.require(data_two, {}, 1, "commit"), base::Error);
    BOOST_CHECK_THROW(keys.require(data_two, {}, 0, "commit"), base::Error); // 0 is not "nobody has to sign"
    BOOST_CHECK_THROW(TrustedKeys({}, {}).require(data_two, {signature_two}, 1, "commit"), base::Error);
    BOOST_CHECK_THROW(keys.require(data_two, std::vector<std::string>(65, signature_two), 1, "commit"), base::Error);
}

BOOST_AUTO_TEST_CASE(revoked_keys_do_not_count) {
    const TrustedKeys keys({key_two, key_three}, {key_two});
    BOOST_TEST(keys.count_good(data_two, {signature_two}) == 0U);
    BOOST_TEST(keys.count_good(data_three, {signature_three}) == 1U);
}

BOOST_AUTO_TEST_CASE(key_files) {
    const std::string text = "# release keys\n\n" + base64(key_two) + " \r\n" + base64(key_three);
    const std::vector<PublicKey> keys = parse_keys(text, "keys");
    BOOST_TEST_REQUIRE(keys.size() == 2U);
    BOOST_TEST((keys[0] == key_two));
    BOOST_TEST((keys[1] == key_three));
    BOOST_TEST(parse_keys("", "keys").empty());
    BOOST_CHECK_EXCEPTION(parse_keys("# x\nnot base64!\n", "keys"), base::Error,
                          [](const base::Error& error) { return std::string(error.what()).find("keys:2: ") == 0; });
    for (const std::string& bad : {base64(key_two) + base64(key_three), base::base64_encode("short"),
                                   " " + base64(key_two), base64(key_two).substr(1)})
        BOOST_CHECK_THROW(parse_keys(bad, "keys"), base::Error);
}

BOOST_AUTO_TEST_CASE(directories_of_keys) {
    const base::TempDir directory;
    const std::string trusted = directory / "trusted";
    base::make_directories(trusted);
    base::write_durable(trusted + "/a", base64(key_two) + "\n");
    BOOST_TEST(load_key_directory(trusted).size() == 1U);
    BOOST_TEST(load_key_directory(directory / "none").empty());
    // A key that cannot be read fails as a whole.
    base::write_durable(trusted + "/b", "???\n");
    BOOST_CHECK_THROW(load_key_directory(trusted), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
