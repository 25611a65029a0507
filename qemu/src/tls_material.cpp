#include "qemu/tls_material.hpp"

#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/process.hpp"

namespace qemu {
namespace {

constexpr const char* days = "365";

bool fresh(const std::string& certificate) {
    return ::access(certificate.c_str(), R_OK) == 0 &&
           base::run({"openssl", "x509", "-noout", "-checkend", "172800", "-in", certificate}).status.success();
}

void make_authority(const std::string& directory) {
    base::run_checked({"openssl",
                       "req",
                       "-x509",
                       "-newkey",
                       "ec",
                       "-pkeyopt",
                       "ec_paramgen_curve:P-256",
                       "-nodes",
                       "-keyout",
                       directory + "/ca-key.pem",
                       "-out",
                       directory + "/ca.pem",
                       "-days",
                       days,
                       "-subj",
                       "/CN=Atoll rig authority",
                       "-addext",
                       "basicConstraints=critical,CA:TRUE",
                       "-addext",
                       "keyUsage=critical,keyCertSign"});
}

void make_certificate(const std::string& authority, const std::string& directory, const std::string& name,
                      const std::string& extensions) {
    base::make_directories(directory, 0700);
    const std::string request = directory + "/request.pem";
    const std::string extension_file = directory + "/extensions";
    base::write_durable(extension_file, extensions);
    base::run_checked({"openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                       "-keyout", directory + "/key.pem", "-out", request, "-subj", "/CN=" + name});
    base::run_checked({"openssl", "x509", "-req", "-in", request, "-CA", authority + "/ca.pem", "-CAkey",
                       authority + "/ca-key.pem", "-CAcreateserial", "-days", days, "-extfile", extension_file, "-out",
                       directory + "/cert.pem"});
    base::write_durable(directory + "/ca.pem", base::read_file(authority + "/ca.pem"));
    ::unlink(request.c_str());
    ::unlink(extension_file.c_str());
}

} // namespace

base::TlsFiles TlsMaterial::client() const {
    return {client_directory() + "/ca.pem", client_directory() + "/cert.pem", client_directory() + "/key.pem"};
}

std::map<std::string, std::string> TlsMaterial::server_files() const {
    std::map<std::string, std::string> files;
    for (const char* name : {"ca.pem", "cert.pem", "key.pem"})
        files[name] = base::read_file(directory + "/server/" + name);
    return files;
}

TlsMaterial make_tls_material(const Places& places) {
    const base::UniqueFd lock = places.lock();
    const TlsMaterial material{places.out + "/tls"};
    const std::string& directory = material.directory;
    if (fresh(directory + "/ca.pem") && fresh(directory + "/server/cert.pem") && fresh(directory + "/client/cert.pem"))
        return material;
    // Under another name until all is there: keys and certificates of two attempts do not match.
    const std::string making = directory + ".new";
    base::remove_tree(making);
    base::make_directories(making, 0700);
    make_authority(making);
    make_certificate(making, making + "/server", "atoll",
                     "subjectAltName=DNS:localhost,DNS:atoll,IP:127.0.0.1,IP:::1\nextendedKeyUsage=serverAuth\n"
                     "basicConstraints=critical,CA:FALSE\n");
    make_certificate(making, making + "/client", "rig",
                     "extendedKeyUsage=clientAuth\nbasicConstraints=critical,CA:FALSE\n");
    base::remove_tree(directory);
    std::filesystem::rename(making, directory);
    return material;
}

} // namespace qemu
