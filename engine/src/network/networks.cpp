#include "engine/network.hpp"

#include <sys/random.h>
#include <unistd.h>

#include <mutex>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "base/process.hpp"
#include "base/scope_exit.hpp"
#include "base/sha256.hpp"
#include "network/host_ports.hpp"
#include "network/ipv4.hpp"
#include "network/netlink.hpp"
#include "network/ruleset.hpp"
#include "network/store.hpp"

namespace engine {

using namespace network;

struct Networks::State {
    explicit State(NetworksConfig given);

    NetworkDefinition& find(const std::string& name_or_id);
    NetworkDefinition complete(NetworkDefinition definition) const;
    std::string free_subnet();
    std::uint32_t free_address(const NetworkDefinition& network, const std::optional<std::string>& wanted) const;
    bool in_use(const NetworkDefinition& network) const;
    NetworkEndpoint plan(const NetworkDefinition& network, const std::string& container, const AttachOptions& options);
    void set_up_bridge(Netlink& host, const NetworkDefinition& network);
    void connect(const NetworkDefinition& network, const NetworkEndpoint& endpoint, const NetworkNamespace& where,
                 const std::string& interface);
    /// Puts the rules as the endpoints ask for them, unless they are so already.
    void apply_rules();
    void run_nft(const std::string& document);
    void warn_of_foreign_rules();
    void save_endpoints() const;
    void save_definitions() const;
    template <typename Selector>
    void detach_if(Selector&& selects);

    std::string endpoints_file() const { return config.state_directory + "/endpoints.json"; }

    NetworksConfig config;
    std::mutex mutex;
    std::vector<NetworkDefinition> networks; ///< the default network first
    std::vector<NetworkEndpoint> endpoints;
    HostPorts ports;
    std::string applied_rules; ///< what nft was last given; empty: nothing yet
    bool looked_for_foreign_rules = false;
};

namespace {

constexpr std::chrono::seconds carrier_timeout{5};

std::string random_id() {
    std::array<std::uint8_t, 32> bytes{};
    if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        base::throw_errno("getrandom");
    return base::to_hex(bytes);
}

void write_setting(const std::string& path, std::string_view value) {
    // Written only when it differs: on a host that sets it itself, /proc/sys may be read-only for us.
    const std::optional<std::string> current = base::read_file_if_exists(path);
    if (current && current->starts_with(value))
        return;
    const base::UniqueFd file = base::open_file(path, O_WRONLY);
    base::write_all(file.get(), value, path);
}

bool is_device_name(const std::string& name) {
    return !name.empty() && name.size() <= 15 && name != "." && name != ".." &&
           name.find_first_of("/: \t\n%") == std::string::npos;
}

} // namespace

Networks::State::State(NetworksConfig given) : config(std::move(given)) {
    networks.push_back(complete(config.default_network));
    if (!config.definitions_file.empty())
        if (const auto text = base::read_file_if_exists(config.definitions_file))
            for (NetworkDefinition& network : decode_definitions(*text, config.definitions_file))
                networks.push_back(std::move(network));
    if (const auto text = base::read_file_if_exists(endpoints_file()))
        endpoints = decode_endpoints(*text, endpoints_file());
    for (const NetworkEndpoint& endpoint : endpoints)
        ports.adopt(endpoint.endpoint_id, endpoint.ports);
}

NetworkDefinition Networks::State::complete(NetworkDefinition definition) const {
    if (definition.name.empty())
        throw base::Error("a network needs a name");
    if (definition.id.empty())
        definition.id = base::sha256_hex("atoll network " + definition.name);
    if (definition.device.empty())
        definition.device = "br-" + definition.id.substr(0, 12);
    if (!is_device_name(definition.device))
        throw base::Error("network " + definition.name + ": \"" + definition.device + "\" is no name of a device");
    const Subnet subnet = parse_subnet(definition.subnet);
    if (definition.gateway.empty())
        definition.gateway = to_string(subnet.base + 1);
    const std::optional<std::uint32_t> gateway = parse_address(definition.gateway);
    if (!gateway || !subnet.contains(*gateway) || *gateway == subnet.base || *gateway == subnet.last())
        throw base::Error("network " + definition.name + ": gateway " + definition.gateway + " is not a host of " +
                          definition.subnet);
    return definition;
}

NetworkDefinition& Networks::State::find(const std::string& name_or_id) {
    for (NetworkDefinition& network : networks)
        if (network.name == name_or_id || network.id == name_or_id)
            return network;
    throw base::Error("network " + name_or_id + " not found");
}

bool Networks::State::in_use(const NetworkDefinition& network) const {
    return std::any_of(endpoints.begin(), endpoints.end(),
                       [&](const NetworkEndpoint& endpoint) { return endpoint.network_id == network.id; });
}

std::uint32_t Networks::State::free_address(const NetworkDefinition& network,
                                            const std::optional<std::string>& wanted) const {
    const Subnet subnet = parse_subnet(network.subnet);
    std::set<std::uint32_t> taken{parse_address(network.gateway).value()};
    for (const NetworkEndpoint& endpoint : endpoints)
        if (endpoint.network_id == network.id)
            taken.insert(parse_address(endpoint.address).value_or(0));
    if (wanted) {
        const std::optional<std::uint32_t> address = parse_address(*wanted);
        if (!address || !subnet.contains(*address) || *address == subnet.base || *address == subnet.last())
            throw base::Error("address " + *wanted + " is not a host of network " + network.name + " (" +
                              network.subnet + ")");
        if (taken.contains(*address))
            throw base::Error("address " + *wanted + " of network " + network.name + " is already in use");
        return *address;
    }
    for (std::uint32_t address = subnet.base + 1; address < subnet.last(); ++address)
        if (!taken.contains(address))
            return address;
    throw base::Error("network " + network.name + " (" + network.subnet + ") has no free address");
}

NetworkEndpoint Networks::State::plan(const NetworkDefinition& network, const std::string& container,
                                      const AttachOptions& options) {
    for (const NetworkEndpoint& endpoint : endpoints)
        if (endpoint.container == container && endpoint.network_id == network.id)
            throw base::Error("container " + container + " is already attached to network " + network.name);
    if (!is_device_name(options.interface))
        throw base::Error("\"" + options.interface + "\" is no name of a network device");
    if (options.mac && !parse_mac(*options.mac))
        throw base::Error("\"" + *options.mac + "\" is no MAC address of a host");
    const std::uint32_t address = free_address(network, options.address);
    NetworkEndpoint endpoint;
    endpoint.container = container;
    endpoint.network = network.name;
    endpoint.network_id = network.id;
    endpoint.endpoint_id = random_id();
    endpoint.address = to_string(address);
    endpoint.prefix_length = parse_subnet(network.subnet).prefix_length;
    endpoint.gateway = network.internal ? "" : network.gateway;
    endpoint.mac = options.mac.value_or(mac_of(address));
    endpoint.host_device = "veth" + endpoint.endpoint_id.substr(0, 11);
    endpoint.ports = ports.reserve(endpoint.endpoint_id, container, options.ports);
    return endpoint;
}

void Networks::State::set_up_bridge(Netlink& host, const NetworkDefinition& network) {
    const std::uint32_t gateway = parse_address(network.gateway).value();
    if (!host.find_link(network.device)) {
        const Subnet subnet = parse_subnet(network.subnet);
        for (const Subnet& route : host.routes(std::nullopt))
            if (route.overlaps(subnet))
                throw base::Error("network " + network.name + ": subnet " + network.subnet +
                                  " overlaps the host's route to " + to_string(route));
        host.add_bridge(network.device, parse_mac(mac_of(gateway)).value());
    }
    base::ScopeExit remove([&] {
        try {
            if (!in_use(network))
                host.remove_link(network.device);
        } catch (const base::Error& error) {
            base::log_warning("network {}: clean up: {}", network.name, error.what());
        }
    });
    host.add_address(network.device, gateway, parse_subnet(network.subnet).prefix_length);
    host.set_up(network.device);
    if (!network.internal) {
        write_setting("/proc/sys/net/ipv4/ip_forward", "1");
        // So that the host's 127.0.0.1 reaches published ports; the rules keep others from using it (ruleset.cpp).
        write_setting("/proc/sys/net/ipv4/conf/" + network.device + "/route_localnet", "1");
    }
    remove.dismiss();
}

void Networks::State::connect(const NetworkDefinition& network, const NetworkEndpoint& endpoint,
                              const NetworkNamespace& where, const std::string& interface) {
    const base::UniqueFd target = base::open_file(where.path(), O_RDONLY);
    Netlink host;
    Netlink inside(target.get());
    // The rules are there before the container is: nothing of it is ever reachable that should not be.
    apply_rules();
    set_up_bridge(host, network);
    host.add_veth(endpoint.host_device, interface, target.get(), parse_mac(endpoint.mac).value());
    base::ScopeExit remove([&] {
        try {
            host.remove_link(endpoint.host_device);
        } catch (const base::Error& error) {
            base::log_warning("container {}: clean up: {}", endpoint.container, error.what());
        }
    });
    host.set_master(endpoint.host_device, host.find_link(network.device).value());
    host.set_hairpin(endpoint.host_device);
    host.set_up(endpoint.host_device);
    inside.set_up("lo");
    inside.add_address(interface, parse_address(endpoint.address).value(), endpoint.prefix_length);
    inside.set_up(interface);
    if (!endpoint.gateway.empty())
        inside.add_default_route(parse_address(endpoint.gateway).value());
    if (!inside.await_carrier(interface, carrier_timeout) ||
        !host.await_carrier(endpoint.host_device, carrier_timeout) ||
        !host.await_carrier(network.device, carrier_timeout))
        throw base::Error(ETIMEDOUT, "wait for the carrier of " + endpoint.host_device);
    remove.dismiss();
}

void Networks::State::run_nft(const std::string& document) {
    std::vector<std::string> command = config.nft_command;
    // Not "-": nft opens /dev/stdin for it, which a bare devtmpfs does not have.
    command.insert(command.end(), {"-j", "-f", "/proc/self/fd/0"});
    base::RunOptions options;
    options.input = document;
    options.timeout = std::chrono::seconds(30);
    base::run_checked(command, options);
}

void Networks::State::apply_rules() {
    std::vector<NetworkDefinition> used;
    for (const NetworkDefinition& network : networks)
        if (in_use(network))
            used.push_back(network);
    const std::string rules = used.empty() ? removal(config.table) : ruleset(config.table, used, endpoints);
    if (rules == applied_rules)
        return;
    run_nft(rules);
    applied_rules = rules;
    if (!used.empty() && !std::exchange(looked_for_foreign_rules, true))
        warn_of_foreign_rules();
}

void Networks::State::warn_of_foreign_rules() {
    try {
        std::vector<std::string> command = config.nft_command;
        command.insert(command.end(), {"-j", "list", "ruleset"});
        for (const std::string& rule : foreign_forward_drops(base::run_checked(command), config.table))
            base::log_warning("{}: packets from and to containers are dropped there, whatever our rules say", rule);
    } catch (const base::Error& error) {
        base::log_warning("list the host's rules: {}", error.what());
    }
}

void Networks::State::save_endpoints() const {
    base::make_directories(config.state_directory, 0700);
    base::write_durable(endpoints_file(), encode_endpoints(endpoints), 0600);
}

void Networks::State::save_definitions() const {
    if (config.definitions_file.empty())
        return;
    base::write_durable(config.definitions_file, encode_definitions({networks.begin() + 1, networks.end()}), 0600);
}

template <typename Selector>
void Networks::State::detach_if(Selector&& selects) {
    std::vector<NetworkEndpoint> leaving, staying;
    for (NetworkEndpoint& endpoint : endpoints)
        (selects(endpoint) ? leaving : staying).push_back(std::move(endpoint));
    endpoints = std::move(staying);
    if (leaving.empty())
        return;
    // Every step is tried, so that one that fails does not keep the others; the first failure is told.
    std::exception_ptr failure;
    const auto attempt = [&](auto&& step) {
        try {
            step();
        } catch (const base::Error&) {
            if (!failure)
                failure = std::current_exception();
        }
    };
    attempt([&] { apply_rules(); });
    attempt([&] {
        Netlink host;
        for (const NetworkEndpoint& endpoint : leaving)
            attempt([&] { host.remove_link(endpoint.host_device); });
    });
    for (const NetworkEndpoint& endpoint : leaving)
        ports.release(endpoint.endpoint_id);
    attempt([&] { save_endpoints(); });
    if (failure)
        std::rethrow_exception(failure);
}

std::string Networks::State::free_subnet() {
    const Subnet pool = parse_subnet(config.pool);
    Netlink host;
    const std::vector<Subnet> routes = host.routes(std::nullopt);
    for (std::uint32_t base = pool.base; pool.contains(base); base += 256) {
        const Subnet candidate{base, std::max(24U, pool.prefix_length)};
        const bool taken =
            std::any_of(networks.begin(), networks.end(),
                        [&](const NetworkDefinition& n) { return parse_subnet(n.subnet).overlaps(candidate); }) ||
            std::any_of(routes.begin(), routes.end(), [&](const Subnet& route) { return route.overlaps(candidate); });
        if (!taken)
            return to_string(candidate);
    }
    throw base::Error("no free subnet is left in " + config.pool);
}

Networks::Networks(NetworksConfig config) : state_(std::make_unique<State>(std::move(config))) {}
Networks::~Networks() = default;

NetworkEndpoint Networks::attach(const std::string& network_name, const std::string& container,
                                 const NetworkNamespace& where, const AttachOptions& options) {
    const std::lock_guard lock(state_->mutex);
    const NetworkDefinition network = state_->find(network_name);
    NetworkEndpoint endpoint = state_->plan(network, container, options);
    state_->endpoints.push_back(endpoint);
    try {
        state_->save_endpoints(); // before the kernel is touched: should we be killed, `retain` finds what to remove
        state_->connect(network, endpoint, where, options.interface);
    } catch (const base::Error&) {
        try {
            state_->detach_if([&](const NetworkEndpoint& other) { return other.endpoint_id == endpoint.endpoint_id; });
        } catch (const base::Error& error) {
            base::log_warning("container {}: clean up: {}", container, error.what());
        }
        std::throw_with_nested(base::Error("attach container " + container + " to network " + network.name));
    }
    return endpoint;
}

void Networks::detach(const std::string& container) {
    const std::lock_guard lock(state_->mutex);
    state_->detach_if([&](const NetworkEndpoint& endpoint) { return endpoint.container == container; });
}

void Networks::detach(const std::string& container, const std::string& network_name) {
    const std::lock_guard lock(state_->mutex);
    const std::string id = state_->find(network_name).id;
    state_->detach_if(
        [&](const NetworkEndpoint& endpoint) { return endpoint.container == container && endpoint.network_id == id; });
}

void Networks::set_up_loopback(const NetworkNamespace& where) {
    const base::UniqueFd target = base::open_file(where.path(), O_RDONLY);
    Netlink(target.get()).set_up("lo");
}

std::vector<NetworkEndpoint> Networks::endpoints() const {
    const std::lock_guard lock(state_->mutex);
    return state_->endpoints;
}

std::vector<NetworkEndpoint> Networks::endpoints_of(const std::string& container) const {
    const std::lock_guard lock(state_->mutex);
    std::vector<NetworkEndpoint> found;
    for (const NetworkEndpoint& endpoint : state_->endpoints)
        if (endpoint.container == container)
            found.push_back(endpoint);
    return found;
}

void Networks::retain(const std::set<std::string>& containers) {
    const std::lock_guard lock(state_->mutex);
    state_->detach_if([&](const NetworkEndpoint& endpoint) { return !containers.contains(endpoint.container); });
    if (state_->endpoints.empty())
        return;
    state_->apply_rules();
    Netlink host;
    for (const NetworkDefinition& network : state_->networks) {
        if (!state_->in_use(network))
            continue;
        state_->set_up_bridge(host, network);
        // Devices of containers that we know nothing of: left by one that was killed in the middle.
        std::set<std::string> known;
        for (const NetworkEndpoint& endpoint : state_->endpoints)
            known.insert(endpoint.host_device);
        const unsigned bridge = host.find_link(network.device).value();
        for (const std::string& port : host.ports_of(bridge))
            if (port.starts_with("veth") && !known.contains(port))
                host.remove_link(port);
        for (const NetworkEndpoint& endpoint : state_->endpoints)
            if (endpoint.network_id == network.id && host.find_link(endpoint.host_device))
                host.set_master(endpoint.host_device, bridge);
    }
}

NetworkDefinition Networks::create(NetworkDefinition definition) {
    const std::lock_guard lock(state_->mutex);
    for (const NetworkDefinition& network : state_->networks)
        if (network.name == definition.name)
            throw base::Error("network with name " + definition.name + " already exists");
    if (definition.id.empty())
        definition.id = random_id();
    if (definition.subnet.empty())
        definition.subnet = state_->free_subnet();
    definition = state_->complete(std::move(definition));
    const Subnet subnet = parse_subnet(definition.subnet);
    for (const NetworkDefinition& network : state_->networks) {
        if (parse_subnet(network.subnet).overlaps(subnet))
            throw base::Error("network " + definition.name + ": subnet " + definition.subnet + " overlaps network " +
                              network.name + " (" + network.subnet + ")");
        if (network.device == definition.device || network.id == definition.id)
            throw base::Error("network " + definition.name + ": device or id is the one of network " + network.name);
    }
    for (const Subnet& route : Netlink().routes(std::nullopt))
        if (route.overlaps(subnet))
            throw base::Error("network " + definition.name + ": subnet " + definition.subnet +
                              " overlaps the host's route to " + to_string(route));
    state_->networks.push_back(definition);
    try {
        state_->save_definitions();
    } catch (const base::Error&) {
        state_->networks.pop_back();
        throw;
    }
    return definition;
}

void Networks::remove(const std::string& name) {
    const std::lock_guard lock(state_->mutex);
    const NetworkDefinition network = state_->find(name);
    if (network.id == state_->networks.front().id)
        throw base::Error(network.name + " is a pre-defined network and cannot be removed");
    if (state_->in_use(network))
        throw base::Error("network " + network.name + " has active endpoints");
    Netlink().remove_link(network.device);
    std::erase_if(state_->networks, [&](const NetworkDefinition& other) { return other.id == network.id; });
    state_->save_definitions();
}

std::vector<NetworkDefinition> Networks::list() const {
    const std::lock_guard lock(state_->mutex);
    return state_->networks;
}

std::optional<NetworkDefinition> Networks::find(const std::string& name_or_id) const {
    const std::lock_guard lock(state_->mutex);
    for (const NetworkDefinition& network : state_->networks)
        if (network.name == name_or_id || network.id == name_or_id)
            return network;
    return std::nullopt;
}

} // namespace engine
