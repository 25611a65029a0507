#include "updater/key_set.hpp"

#include <openssl/evp.h>

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/sha256.hpp"
#include "base/signed_text.hpp"

using namespace updater;

namespace {

/// A key pair made of one repeated byte.
struct Key {
    explicit Key(char seed)
        : pair(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr,
                                            reinterpret_cast<const unsigned char*>(std::string(32, seed).data()), 32)) {
        std::size_t size = key.size();
        EVP_PKEY_get_raw_public_key(pair, key.data(), &size);
    }
    Key(const Key&) = delete;
    Key& operator=(const Key&) = delete;
    ~Key() { EVP_PKEY_free(pair); }
    std::string text() const {
        return base::base64_encode(std::string_view(reinterpret_cast<const char*>(key.data()), key.size()));
    }
    std::string sign(std::string_view data) const {
        EVP_MD_CTX* context = EVP_MD_CTX_new();
        std::string signature(64, '\0');
        std::size_t size = signature.size();
        EVP_DigestSignInit(context, nullptr, nullptr, nullptr, pair);
        EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                       reinterpret_cast<const unsigned char*>(data.data()), data.size());
        EVP_MD_CTX_free(context);
        return signature;
    }
    EVP_PKEY* pair;
    PublicKey key{};
};

const Key a('a');
const Key b('b');
const Key c('c');

std::string set_text(int version, int threshold, const std::vector<const Key*>& keys,
                     const std::vector<const Key*>& revoked = {}) {
    const auto list = [](const std::vector<const Key*>& all) {
        std::string text;
        for (const Key* one : all)
            text += (text.empty() ? "\"" : ",\"") + one->text() + "\"";
        return text;
    };
    return fmt::format(R"({{"format":1,"version":{},"threshold":{},"keys":[{}],"revoked":[{}]}})", version, threshold,
                       list(keys), list(revoked));
}

std::string sign(const std::string& text, const std::vector<const Key*>& signers) {
    base::SignedText file{"keys", {}, text};
    for (const Key* signer : signers)
        file.signatures.push_back(signer->sign(file.message()));
    return file.serialize();
}

Trust trust_in(std::vector<PublicKey> keys, std::size_t threshold, std::int64_t version) {
    return {TrustedKeys(std::move(keys), {}), threshold, version};
}

} // namespace

BOOST_AUTO_TEST_SUITE(updater_key_set)

BOOST_AUTO_TEST_CASE(read) {
    const KeySet set = KeySet::parse(set_text(3, 2, {&a, &b}, {&c}), "keys");
    BOOST_TEST(set.version == 3);
    BOOST_TEST(set.threshold == 2U);
    BOOST_TEST(set.keys.size() == 2U);
    BOOST_TEST((set.revoked == std::vector<PublicKey>{c.key}));
    for (const std::string& bad :
         {std::string("{}"), set_text(0, 1, {&a}), set_text(1, 0, {&a}), set_text(1, 2, {&a}), set_text(1, 1, {}),
          set_text(1, 1, {&a, &a}), set_text(1, 1, {&a}, {&a}), set_text(2'000'000, 1, {&a}),
          std::string(R"({"format":2,"version":1,"threshold":1,"keys":[]})"),
          std::string(R"({"format":1,"version":1,"threshold":1,"keys":["x"]})"),
          std::string(R"({"format":1,"version":1,"threshold":1,"keys":[""]})")})
        BOOST_CHECK_THROW(KeySet::parse(bad, "keys"), base::Error);
}

BOOST_AUTO_TEST_CASE(the_next_set_needs_old_and_new_keys) {
    const Trust trust = trust_in({a.key, b.key}, 2, 1);
    const std::string next = set_text(2, 1, {&c});
    BOOST_TEST(require_successor(trust, sign(next, {&a, &b, &c}), "keys").version == 2);
    for (const std::vector<const Key*>& signers :
         std::vector<std::vector<const Key*>>{{}, {&c}, {&a, &c}, {&a, &b}, {&a, &a, &c}})
        BOOST_CHECK_THROW(require_successor(trust, sign(next, signers), "keys"), base::Error);
    for (const int version : {1, 3})
        BOOST_CHECK_THROW(require_successor(trust, sign(set_text(version, 1, {&c}), {&a, &b, &c}), "keys"),
                          base::Error);
    // What is signed for another purpose does not count.
    base::SignedText channel{"channel", {}, next};
    for (const Key* key : {&a, &b, &c})
        channel.signatures.push_back(key->sign(channel.message()));
    channel.kind = "keys";
    BOOST_CHECK_THROW(require_successor(trust, channel.serialize(), "keys"), base::Error);
}

BOOST_AUTO_TEST_CASE(the_newest_set_counts) {
    const base::TempDir directory;
    const Paths paths = Paths::below(directory.path());
    for (const std::string& path : {paths.trusted_keys, paths.revoked_keys, std::string(directory / "usr/lib/atoll")})
        base::make_directories(path);
    base::write_durable(paths.trusted_keys + "/release", a.text() + "\n");
    const std::string followed = sign(set_text(2, 2, {&b, &c}), {});

    Trust trust = load_trust(paths, {}, {});
    BOOST_TEST((trust.keys.keys() == std::vector<PublicKey>{a.key}));
    BOOST_TEST(trust.version == 0);
    trust = load_trust(paths, {}, followed);
    BOOST_TEST(trust.keys.keys().size() == 2U);
    BOOST_TEST(trust.threshold == 2U);
    BOOST_TEST(trust.version == 2);
    // An image that is newer than what was followed to brings its own.
    base::write_durable(paths.image_yaml, "update: {threshold: 1, keys_version: 3}\n");
    trust = load_trust(paths, {}, followed);
    BOOST_TEST((trust.keys.keys() == std::vector<PublicKey>{a.key}));
    BOOST_TEST(trust.version == 3);
    // The host's own keys are added, unless they are revoked.
    BOOST_TEST(load_trust(paths, {c.text()}, {}).keys.keys().size() == 2U);
    base::write_durable(paths.revoked_keys + "/image", c.text() + "\n");
    BOOST_TEST(load_trust(paths, {c.text()}, {}).keys.keys().size() == 1U);
    base::write_durable(paths.image_yaml, "update: {keys_version: 1}\n");
    BOOST_TEST(load_trust(paths, {a.text()}, sign(set_text(2, 1, {&b}, {&a}), {})).keys.keys().size() == 1U);
    BOOST_CHECK_THROW(load_trust(paths, {}, "damaged"), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
