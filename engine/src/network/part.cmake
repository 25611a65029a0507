# Container networking: bridges, veth pairs, published ports.
pkg_check_modules(MNL REQUIRED IMPORTED_TARGET libmnl)

atoll_library(engine_network
  SOURCES
    src/network/host_ports.cpp
    src/network/ipv4.cpp
    src/network/netlink.cpp
    src/network/networks.cpp
    src/network/ruleset.cpp
    src/network/store.cpp
  LINK base base_crypto base_json PkgConfig::MNL)
