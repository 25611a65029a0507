#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/test/unit_test.hpp>

#include "base/files.hpp"
#include "base/http/client.hpp"
#include "base/http/server.hpp"
#include "base/process.hpp"

using namespace base::http;

namespace {

/// A certificate authority with the certificates it signed, made by openssl(1).
class Authority {
public:
    Authority(const base::TempDir& dir, const std::string& name) : dir_(dir), name_(name) {
        base::run_checked({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                           "-nodes", "-keyout", path("ca.key"), "-out", path("ca.pem"), "-days", "2", "-subj",
                           "/CN=" + name});
    }

    base::TlsFiles sign(const std::string& common_name) const {
        const std::string key = path(common_name + ".key");
        const std::string certificate = path(common_name + ".pem");
        const std::string request = path(common_name + ".csr");
        const std::string extensions = path(common_name + ".ext");
        base::write_durable(extensions, "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
        base::run_checked({"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                           "-keyout", key, "-out", request, "-subj", "/CN=" + common_name});
        base::run_checked({"openssl", "x509", "-req", "-in", request, "-CA", path("ca.pem"), "-CAkey", path("ca.key"),
                           "-CAcreateserial", "-out", certificate, "-days", "2", "-extfile", extensions});
        return {path("ca.pem"), certificate, key};
    }

private:
    std::string path(const std::string& file) const { return dir_ / (name_ + "-" + file); }
    const base::TempDir& dir_;
    std::string name_;
};

/// A port that was free a moment ago.
std::string free_address() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const base::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    BOOST_REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
    BOOST_REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    return fmt::format("127.0.0.1:{}", ntohs(address.sin_port));
}

} // namespace

BOOST_AUTO_TEST_CASE(mutual_tls_admits_only_the_authoritys_clients) {
    const base::TempDir dir;
    const Authority ours(dir, "ours");
    const Authority foreign(dir, "foreign");
    const std::string address = free_address();
    Server server;
    server.listen_tls({address, ours.sign("server")}, [](Request& request, Response& response) {
        response.send(200, request.peer.tls_subject + " " + request.body(8'000'000), "text/plain");
    });
    server.start();

    const std::string big(3'000'000, 'x');
    const auto good = Client("https://" + address, ours.sign("alice")).post("/", big);
    BOOST_TEST(good.status == 200);
    BOOST_TEST((good.body == "alice " + big));

    base::TlsFiles mallory = foreign.sign("mallory");
    mallory.ca = ours.sign("x").ca; // trusts the server, but is not trusted by it
    BOOST_CHECK_THROW(Client("https://" + address, mallory).get("/"), base::Error);
    base::TlsFiles suspicious = ours.sign("bob");
    suspicious.ca = foreign.sign("y").ca;
    BOOST_CHECK_THROW(Client("https://" + address, suspicious).get("/"), base::Error);
    BOOST_CHECK_THROW(Client("http://" + address).get("/"), base::Error);
    BOOST_TEST(Client("https://" + address, ours.sign("carol")).get("/").ok()); // the refused did no harm
}
