#include "network/store.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"

using namespace engine::network;

BOOST_AUTO_TEST_SUITE(store)

BOOST_AUTO_TEST_CASE(what_is_written_is_read) {
    const engine::NetworkDefinition network{"back", "id", "br-1", "10.0.0.0/24", "10.0.0.1", true};
    BOOST_TEST((decode_definitions(encode_definitions({network}), "f") == std::vector{network}));
    engine::NetworkEndpoint endpoint{"c",        "back",
                                     "id",       "e",
                                     "10.0.0.2", 24,
                                     "10.0.0.1", "02:42:0a:00:00:02",
                                     "veth1",    {{"127.0.0.1", 80, 8080, "tcp"}}};
    BOOST_TEST((decode_endpoints(encode_endpoints({endpoint}), "f") == std::vector{endpoint}));
    endpoint.gateway.clear();
    endpoint.ports.clear();
    BOOST_TEST((decode_endpoints(encode_endpoints({endpoint}), "f") == std::vector{endpoint}));
}

BOOST_AUTO_TEST_CASE(damage_is_an_error) {
    for (const char* wrong : {"", "{}", R"({"format": 2, "endpoints": []})", R"({"format": 1, "endpoints": [{}]})",
                              R"({"format": 1, "endpoints": [5]})"})
        BOOST_CHECK_THROW(decode_endpoints(wrong, "f"), base::Error);
    engine::NetworkEndpoint endpoint{"c", "n", "i", "e", "a", 24, "", "m", "v", {{"", 0, 80, "tcp"}}};
    BOOST_CHECK_THROW(decode_endpoints(encode_endpoints({endpoint}), "f"), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
