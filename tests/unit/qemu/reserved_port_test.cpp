#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/test/unit_test.hpp>

#include "qemu/machine.hpp"

namespace {

/// Takes the port as QEMU does (`shared`), or as anybody else; the error number.
int take(std::uint16_t port, bool shared) {
    const base::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int value = shared ? 1 : 0;
    BOOST_REQUIRE(::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &value, sizeof value) == 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
        ::listen(socket.get(), 1) < 0)
        return errno;
    return 0;
}

} // namespace

BOOST_AUTO_TEST_SUITE(reserved_port)

BOOST_AUTO_TEST_CASE(it_is_for_one_who_shares_and_for_nobody_else) {
    const qemu::ReservedPort port;
    BOOST_TEST(take(port.number(), true) == 0);
    BOOST_TEST(take(port.number(), false) == EADDRINUSE);
    BOOST_TEST(take(port.number(), true) == 0); // QEMU once more, after a power cut
}

BOOST_AUTO_TEST_SUITE_END()
