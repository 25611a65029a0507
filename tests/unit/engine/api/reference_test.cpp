#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "images/reference.hpp"

using namespace engine;

BOOST_AUTO_TEST_SUITE(reference)

BOOST_AUTO_TEST_CASE(names_are_normalised_as_docker_does) {
    const std::string digest = "sha256:" + std::string(64, 'a');
    const std::vector<std::pair<std::string, std::string>> names = {
        {"busybox", "docker.io/library/busybox:latest"},
        {"busybox:1", "docker.io/library/busybox:1"},
        {"user/image", "docker.io/user/image:latest"},
        {"docker.io/busybox", "docker.io/library/busybox:latest"},
        {"index.docker.io/busybox", "docker.io/library/busybox:latest"},
        {"localhost/a", "localhost/a:latest"},
        {"localhost:5000/a:b", "localhost:5000/a:b"},
        {"registry.example.com/a/b/c:v1.2-x", "registry.example.com/a/b/c:v1.2-x"},
        {"[::1]:5000/a", "[::1]:5000/a:latest"},
        {"Host/a", "Host/a:latest"},
        {"a__b/c-d---e.f", "docker.io/a__b/c-d---e.f:latest"},
    };
    for (const auto& [text, canonical] : names) {
        const auto reference = parse_reference(text);
        BOOST_REQUIRE_MESSAGE(reference, text);
        BOOST_TEST(reference->tagged() == canonical);
    }
    const auto with_digest = parse_reference("busybox@" + digest);
    BOOST_REQUIRE(with_digest);
    BOOST_TEST(with_digest->tag.empty());
    BOOST_TEST(with_digest->digest == digest);
    BOOST_TEST(with_digest->tagged().empty());
    BOOST_TEST(parse_reference("busybox:1@" + digest)->tagged() == "docker.io/library/busybox:1");
}

BOOST_AUTO_TEST_CASE(what_is_no_reference_is_refused) {
    for (const std::string& text :
         {std::string(),           std::string("Busybox"),     std::string("a//b"),      std::string("/a"),
          std::string("a/"),       std::string("a:"),          std::string("a:-b"),      std::string("a..b"),
          std::string("a___b"),    std::string("-a"),          std::string("a b"),       std::string("a@sha256:12"),
          std::string("a@md5:00"), std::string(64, 'a'),       std::string("../../etc"), fmt::format("a:{:x>129}", ""),
          std::string(256, 'a'),   std::string("host:port/a"), std::string("a\n"),       std::string("[zz]/a"),
          std::string("a.-b/c/d@")})
        BOOST_TEST(!parse_reference(text), text);
    BOOST_CHECK_THROW(require_reference("A"), base::Error);
}

BOOST_AUTO_TEST_CASE(people_see_short_names) {
    BOOST_TEST(require_reference("docker.io/library/busybox:1").familiar() == "busybox:1");
    BOOST_TEST(require_reference("docker.io/user/x").familiar() == "user/x:latest");
    BOOST_TEST(require_reference("ghcr.io/user/x:2").familiar() == "ghcr.io/user/x:2");
    BOOST_TEST(require_reference("docker.io/library/a/b:1").familiar() == "library/a/b:1");
    BOOST_TEST(require_reference("docker.io/localhost/b:1").familiar() == "docker.io/localhost/b:1");
    BOOST_TEST(require_reference("docker.io/a.b/c:1").familiar() == "docker.io/a.b/c:1");
}

BOOST_AUTO_TEST_CASE(a_familiar_name_means_the_same) {
    for (const char* text : {"busybox", "user/x:1", "ghcr.io/a/b:2", "localhost:5000/x"})
        BOOST_TEST(require_reference(require_reference(text).familiar()).tagged() == require_reference(text).tagged());
}

BOOST_AUTO_TEST_CASE(digests_are_sha256) {
    BOOST_TEST(digest_hex("sha256:" + std::string(64, 'b')) == std::string(64, 'b'));
    for (const std::string& text : {std::string("sha256:"), fmt::format("sha512:{:b>64}", ""), std::string(64, 'b'),
                                    fmt::format("sha256:{:B>64}", ""), fmt::format("sha256:../{:b>61}", "")})
        BOOST_CHECK_THROW(digest_hex(text), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
