#include "qemu/file_server.hpp"

#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <future>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/http/client.hpp"
#include "base/process.hpp"
#include "qemu/tls_material.hpp"

namespace {

struct Fixture {
    Fixture() {
        base::make_directories(directory / "public/objects");
        base::write_durable(directory / "public/summary", "text\n");
        base::write_durable(directory / "public/objects/big", std::string(500'000, 'b'));
        base::write_durable(directory / "secret", "not public\n");
        std::filesystem::create_symlink("../secret", directory / "public/link");
        server.emplace(directory / "public");
        client.emplace("http://127.0.0.1:" + std::to_string(server->port()));
    }
    base::TempDir directory{"files"};
    std::optional<qemu::FileServer> server;
    std::optional<base::http::Client> client;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(file_server, Fixture)

BOOST_AUTO_TEST_CASE(files_come_whole_over_one_connection) {
    for (int i = 0; i < 3; ++i) {
        BOOST_TEST(client->get("/summary").body == "text\n");
        BOOST_TEST(client->get("/objects/big").body.size() == 500'000U);
        BOOST_TEST(client->get("/%73ummary?x=1").body == "text\n");
    }
    BOOST_TEST(server->served() == 9U);
    BOOST_TEST(server->guest_url() == "http://10.0.2.2:" + std::to_string(server->port()));
}

BOOST_AUTO_TEST_CASE(nothing_outside_the_directory) {
    for (const char* target :
         {"/missing", "/objects", "/link", "/%2e%2e/secret", "/objects/../../secret", "//etc/passwd"})
        BOOST_TEST(client->get(target).status == 404, target << " must not be served");
    BOOST_TEST(client->get("/bad%zz").status == 400);
    BOOST_TEST(client->post("/summary", "x").status == 405);
    BOOST_TEST(server->served() == 0U);
}

BOOST_AUTO_TEST_CASE(fails_in_the_middle_when_told_and_recovers) {
    server->fail_after(100'000);
    BOOST_CHECK_THROW(client->get("/objects/big"), base::Error);
    BOOST_CHECK_THROW(client->get("/summary"), base::Error);
    server->fail_after(std::nullopt);
    BOOST_TEST(client->get("/objects/big").body.size() == 500'000U);
}

BOOST_AUTO_TEST_CASE(another_directory_is_served_when_told) {
    server->serve(directory / "public/objects");
    BOOST_TEST(client->get("/summary").status == 404);
    BOOST_TEST(client->get("/big").status == 200);
}

BOOST_AUTO_TEST_CASE(certificates_verify_and_are_kept) {
    const qemu::Places places{.source = {}, .binaries = {}, .out = directory / "out"};
    // As tests do that boot their machines side by side: all get the same ones.
    std::vector<std::future<std::string>> makers;
    for (int i = 0; i < 4; ++i)
        makers.push_back(std::async(std::launch::async, [&places] {
            return qemu::make_tls_material(places).server_files().at("cert.pem");
        }));
    const std::string first = makers.front().get();
    for (std::size_t i = 1; i < makers.size(); ++i)
        BOOST_TEST(makers[i].get() == first);
    for (const char* side : {"server", "client"}) {
        const std::string place = places.out + "/tls/" + side;
        base::run_checked({"openssl", "verify", "-CAfile", place + "/ca.pem", "-purpose",
                           side == std::string("server") ? "sslserver" : "sslclient", place + "/cert.pem"});
        BOOST_TEST(base::run_checked({"openssl", "x509", "-noout", "-pubkey", "-in", place + "/cert.pem"}) ==
                   base::run_checked({"openssl", "pkey", "-pubout", "-in", place + "/key.pem"}));
    }
    BOOST_TEST(qemu::make_tls_material(places).server_files().at("cert.pem") == first);
}

BOOST_AUTO_TEST_SUITE_END()
