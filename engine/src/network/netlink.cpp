#include "network/netlink.hpp"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>

#include <ctime>
#include <exception>

#include "base/error.hpp"
#include "base/files.hpp"

namespace engine::network {

namespace {

constexpr std::size_t buffer_size = 16384; // of a dump's part; MNL_SOCKET_BUFFER_SIZE is smaller than the kernel's

/// A request being put together.
class Request {
public:
    Request(std::uint16_t type, std::uint16_t flags) : header_(mnl_nlmsg_put_header(buffer_)) {
        header_->nlmsg_type = type;
        header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    }
    template <typename T>
    T& extra() {
        return *static_cast<T*>(mnl_nlmsg_put_extra_header(header_, sizeof(T)));
    }
    void put(std::uint16_t type, std::uint32_t value) { mnl_attr_put_u32(header_, type, value); }
    void put(std::uint16_t type, const std::string& text) { mnl_attr_put_strz(header_, type, text.c_str()); }
    void put(std::uint16_t type, const MacAddress& mac) { mnl_attr_put(header_, type, mac.size(), mac.data()); }
    template <typename F>
    void nest(std::uint16_t type, F&& content) {
        nlattr* const start = mnl_attr_nest_start(header_, type);
        content();
        mnl_attr_nest_end(header_, start);
    }
    nlmsghdr* header() { return header_; }

private:
    alignas(nlmsghdr) char buffer_[1024]{};
    nlmsghdr* header_;
};

/// mnl_attr_for_each is a macro of C's implicit conversions.
template <typename F>
void each_attribute(const nlmsghdr* message, unsigned offset, F&& visit) {
    using Visit = std::remove_reference_t<F>;
    mnl_attr_parse(
        message, offset,
        [](const nlattr* attribute, void* data) {
            (*static_cast<Visit*>(data))(attribute);
            return MNL_CB_OK;
        },
        &visit);
}

} // namespace

Netlink::Netlink() {
    open_socket();
}

Netlink::Netlink(int namespace_fd) {
    // setns(2) of a network namespace changes the calling thread only, and is undone before anything else runs on it.
    const base::UniqueFd own = base::open_file("/proc/thread-self/ns/net", O_RDONLY);
    base::check(setns(namespace_fd, CLONE_NEWNET), "enter the container's network namespace");
    std::exception_ptr failure;
    try {
        open_socket();
    } catch (const base::Error&) {
        failure = std::current_exception();
    }
    if (setns(own.get(), CLONE_NEWNET) < 0)
        std::terminate(); // a thread left in a container's network must not serve anybody
    if (failure)
        std::rethrow_exception(failure);
}

Netlink::~Netlink() {
    if (socket_ != nullptr)
        mnl_socket_close(socket_);
}

void Netlink::open_socket() {
    socket_ = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (socket_ == nullptr)
        base::throw_errno("open a netlink socket");
    if (mnl_socket_bind(socket_, 0, MNL_SOCKET_AUTOPID) < 0) {
        const int error = errno;
        mnl_socket_close(std::exchange(socket_, nullptr));
        throw base::Error(error, "bind a netlink socket");
    }
}

int Netlink::request(nlmsghdr* message) {
    message->nlmsg_flags = static_cast<std::uint16_t>(message->nlmsg_flags | NLM_F_ACK);
    message->nlmsg_seq = ++sequence_;
    base::check(mnl_socket_sendto(socket_, message, message->nlmsg_len), "send to netlink");
    for (;;) {
        alignas(nlmsghdr) char buffer[buffer_size];
        const ssize_t size = base::check(mnl_socket_recvfrom(socket_, buffer, sizeof buffer), "receive from netlink");
        int left = static_cast<int>(size);
        for (const nlmsghdr* reply = reinterpret_cast<const nlmsghdr*>(buffer); mnl_nlmsg_ok(reply, left);
             reply = mnl_nlmsg_next(reply, &left)) {
            if (reply->nlmsg_seq != sequence_ || reply->nlmsg_type != NLMSG_ERROR)
                continue;
            return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(reply))->error;
        }
    }
}

template <typename F>
void Netlink::dump(nlmsghdr* message, F&& visit) {
    message->nlmsg_flags = static_cast<std::uint16_t>(message->nlmsg_flags | NLM_F_DUMP);
    message->nlmsg_seq = ++sequence_;
    base::check(mnl_socket_sendto(socket_, message, message->nlmsg_len), "send to netlink");
    for (;;) {
        alignas(nlmsghdr) char buffer[buffer_size];
        const ssize_t size = base::check(mnl_socket_recvfrom(socket_, buffer, sizeof buffer), "receive from netlink");
        int left = static_cast<int>(size);
        for (const nlmsghdr* reply = reinterpret_cast<const nlmsghdr*>(buffer); mnl_nlmsg_ok(reply, left);
             reply = mnl_nlmsg_next(reply, &left)) {
            if (reply->nlmsg_seq != sequence_)
                continue;
            if (reply->nlmsg_type == NLMSG_DONE)
                return;
            if (reply->nlmsg_type == NLMSG_ERROR)
                throw base::Error(-static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(reply))->error, "netlink dump");
            visit(reply);
        }
    }
}

void Netlink::check(int error, const std::string& operation) {
    if (error != 0)
        throw base::Error(error, operation);
}

template <typename F>
bool Netlink::query_link(const std::string& name, F&& visit) {
    Request query(RTM_GETLINK, 0);
    query.extra<ifinfomsg>().ifi_family = AF_UNSPEC;
    query.put(IFLA_IFNAME, name);
    nlmsghdr* const message = query.header();
    message->nlmsg_seq = ++sequence_;
    base::check(mnl_socket_sendto(socket_, message, message->nlmsg_len), "send to netlink");
    alignas(nlmsghdr) char buffer[buffer_size];
    for (;;) {
        const ssize_t size = base::check(mnl_socket_recvfrom(socket_, buffer, sizeof buffer), "receive from netlink");
        int left = static_cast<int>(size);
        const nlmsghdr* reply = reinterpret_cast<const nlmsghdr*>(buffer);
        if (!mnl_nlmsg_ok(reply, left) || reply->nlmsg_seq != sequence_)
            continue;
        if (reply->nlmsg_type == RTM_NEWLINK) {
            visit(reply);
            return true;
        }
        const int error = -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(reply))->error;
        if (error == ENODEV)
            return false;
        throw base::Error(error, "find network device " + name);
    }
}

std::optional<unsigned> Netlink::find_link(const std::string& name) {
    std::optional<unsigned> index;
    query_link(name, [&](const nlmsghdr* reply) {
        index = static_cast<unsigned>(static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(reply))->ifi_index);
    });
    return index;
}

bool Netlink::await_carrier(const std::string& name, std::chrono::milliseconds timeout) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    for (;;) {
        bool running = false;
        query_link(name, [&](const nlmsghdr* reply) {
            each_attribute(reply, sizeof(ifinfomsg), [&](const nlattr* attribute) {
                if (mnl_attr_get_type(attribute) == IFLA_OPERSTATE)
                    running = mnl_attr_get_u8(attribute) == IF_OPER_UP;
            });
        });
        if (running || std::chrono::steady_clock::now() >= deadline)
            return running;
        const timespec pause{0, 200'000};
        nanosleep(&pause, nullptr);
    }
}

unsigned Netlink::index_of(const std::string& name) {
    const std::optional<unsigned> index = find_link(name);
    if (!index)
        throw base::Error(ENODEV, "network device " + name);
    return *index;
}

std::vector<std::string> Netlink::ports_of(unsigned bridge) {
    std::vector<std::string> names;
    Request query(RTM_GETLINK, 0);
    query.extra<ifinfomsg>().ifi_family = AF_UNSPEC;
    query.put(IFLA_MASTER, bridge);
    dump(query.header(), [&](const nlmsghdr* reply) {
        std::string name;
        std::uint32_t master = 0;
        each_attribute(reply, sizeof(ifinfomsg), [&](const nlattr* attribute) {
            if (mnl_attr_get_type(attribute) == IFLA_IFNAME)
                name = mnl_attr_get_str(attribute);
            if (mnl_attr_get_type(attribute) == IFLA_MASTER)
                master = mnl_attr_get_u32(attribute);
        });
        if (master == bridge)
            names.push_back(name);
    });
    return names;
}

void Netlink::add_bridge(const std::string& name, const MacAddress& mac) {
    Request link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    link.extra<ifinfomsg>();
    link.put(IFLA_IFNAME, name);
    // A given address stays; a bridge without one takes its ports', and changes it as they come and go.
    link.put(IFLA_ADDRESS, mac);
    link.nest(IFLA_LINKINFO, [&] { link.put(IFLA_INFO_KIND, std::string("bridge")); });
    check(request(link.header()), "make bridge " + name);
}

void Netlink::add_veth(const std::string& name, const std::string& peer, int peer_namespace, const MacAddress& mac) {
    Request link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    link.extra<ifinfomsg>();
    link.put(IFLA_IFNAME, name);
    link.nest(IFLA_LINKINFO, [&] {
        link.put(IFLA_INFO_KIND, std::string("veth"));
        link.nest(IFLA_INFO_DATA, [&] {
            link.nest(VETH_INFO_PEER, [&] {
                link.extra<ifinfomsg>(); // VETH_INFO_PEER holds the struct, then attributes
                link.put(IFLA_IFNAME, peer);
                link.put(IFLA_ADDRESS, mac);
                link.put(IFLA_NET_NS_FD, static_cast<std::uint32_t>(peer_namespace));
            });
        });
    });
    check(request(link.header()), "make network device " + name + " with " + peer + " in the container");
}

void Netlink::set_master(const std::string& name, unsigned bridge) {
    Request link(RTM_NEWLINK, 0);
    link.extra<ifinfomsg>().ifi_index = static_cast<int>(index_of(name));
    link.put(IFLA_MASTER, bridge);
    check(request(link.header()), "attach network device " + name + " to its bridge");
}

void Netlink::set_hairpin(const std::string& name) {
    Request link(RTM_NEWLINK, 0);
    link.extra<ifinfomsg>().ifi_index = static_cast<int>(index_of(name));
    link.nest(IFLA_LINKINFO, [&] {
        link.put(IFLA_INFO_SLAVE_KIND, std::string("bridge"));
        link.nest(IFLA_INFO_SLAVE_DATA, [&] { mnl_attr_put_u8(link.header(), IFLA_BRPORT_MODE, 1); });
    });
    check(request(link.header()), "set hairpin mode of network device " + name);
}

void Netlink::set_up(const std::string& name) {
    Request link(RTM_NEWLINK, 0);
    auto& info = link.extra<ifinfomsg>();
    info.ifi_index = static_cast<int>(index_of(name));
    info.ifi_flags = IFF_UP;
    info.ifi_change = IFF_UP;
    check(request(link.header()), "set network device " + name + " up");
}

void Netlink::remove_link(const std::string& name) {
    const std::optional<unsigned> index = find_link(name);
    if (!index)
        return;
    Request link(RTM_DELLINK, 0);
    link.extra<ifinfomsg>().ifi_index = static_cast<int>(*index);
    const int error = request(link.header());
    if (error != ENODEV) // it went with its namespace in between
        check(error, "remove network device " + name);
}

void Netlink::add_address(const std::string& name, std::uint32_t address, unsigned prefix_length) {
    const std::uint32_t broadcast = Subnet{address, prefix_length}.last();
    Request message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    auto& info = message.extra<ifaddrmsg>();
    info.ifa_family = AF_INET;
    info.ifa_prefixlen = static_cast<std::uint8_t>(prefix_length);
    info.ifa_scope = RT_SCOPE_UNIVERSE;
    info.ifa_index = index_of(name);
    message.put(IFA_LOCAL, htonl(address));
    message.put(IFA_ADDRESS, htonl(address));
    message.put(IFA_BROADCAST, htonl(broadcast));
    const int error = request(message.header());
    if (error != EEXIST)
        check(error, "give network device " + name + " the address " + to_string(address));
}

bool Netlink::add_default_route(std::uint32_t gateway) {
    Request message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
    auto& route = message.extra<rtmsg>();
    route.rtm_family = AF_INET;
    route.rtm_table = RT_TABLE_MAIN;
    route.rtm_protocol = RTPROT_BOOT;
    route.rtm_scope = RT_SCOPE_UNIVERSE;
    route.rtm_type = RTN_UNICAST;
    message.put(RTA_GATEWAY, htonl(gateway));
    const int error = request(message.header());
    if (error != EEXIST)
        check(error, "set the default route by " + to_string(gateway));
    return error == 0;
}

std::vector<Subnet> Netlink::routes(std::optional<unsigned> except) {
    std::vector<Subnet> found;
    Request query(RTM_GETROUTE, 0);
    query.extra<rtmsg>().rtm_family = AF_INET;
    dump(query.header(), [&](const nlmsghdr* reply) {
        const auto* route = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(reply));
        if (route->rtm_table != RT_TABLE_MAIN || route->rtm_dst_len == 0)
            return;
        Subnet subnet{0, route->rtm_dst_len};
        unsigned device = 0;
        each_attribute(reply, sizeof(rtmsg), [&](const nlattr* attribute) {
            if (mnl_attr_get_type(attribute) == RTA_DST)
                subnet.base = ntohl(mnl_attr_get_u32(attribute));
            if (mnl_attr_get_type(attribute) == RTA_OIF)
                device = mnl_attr_get_u32(attribute);
        });
        if (device != except)
            found.push_back(subnet);
    });
    return found;
}

} // namespace engine::network
