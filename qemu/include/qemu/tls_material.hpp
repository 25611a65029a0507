// The certificates of a rig: an authority of its own, the machine's server certificate, a client's.
#pragma once
#include <map>
#include <string>

#include "base/host_config.hpp"
#include "qemu/images.hpp"

namespace qemu {

struct TlsMaterial {
    std::string directory; ///< server/ and client/, each with ca.pem, cert.pem, key.pem as docker names them

    base::TlsFiles client() const;
    std::string client_directory() const { return directory + "/client"; }
    /// The server's files by the names `host.yaml` of the config drive gives them.
    std::map<std::string, std::string> server_files() const;
};

/// Makes them below `places.out` with openssl(1) when they are missing or about to expire, all or none; kept otherwise.
/// Server names: localhost, 127.0.0.1 and ::1. Throws base::Error.
TlsMaterial make_tls_material(const Places& places);

} // namespace qemu
