#include "qemu/switch.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <deque>
#include <mutex>
#include <random>
#include <thread>

#include "base/error.hpp"

namespace qemu {
namespace {

using Clock = std::chrono::steady_clock;
using Mac = std::array<unsigned char, 6>;
using PortId = std::uint64_t;

constexpr std::size_t smallest_frame = 14; ///< two addresses and a type: IEEE 802.3 without padding
constexpr std::size_t largest_frame = 65536;
constexpr std::size_t queue_limit = 10'000; ///< frames under way while there is a delay
constexpr std::size_t backlog_limit = 1000; ///< frames a slow receiver may be behind; the kernel keeps ten

Mac address_at(const std::string& frame, std::size_t offset) {
    Mac mac{};
    std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(offset), mac.size(), mac.begin());
    return mac;
}

/// Broadcast and multicast: the lowest bit of the first byte.
bool is_group(const Mac& mac) {
    return (mac[0] & 1U) != 0;
}

std::pair<std::string, std::string> ordered(const std::string& one, const std::string& other) {
    return one < other ? std::pair(one, other) : std::pair(other, one);
}

} // namespace

struct Switch::Impl {
    struct Port {
        PortId id = 0;
        std::string name;
        base::UniqueFd socket;
        std::deque<std::string> backlog;
    };
    struct Delivery {
        Clock::time_point due;
        PortId to = 0;
        std::string frame;
    };

    mutable std::mutex mutex; // of all below
    std::vector<Port> ports;
    PortId next_id = 1;
    std::map<Mac, PortId> places; ///< where an address was seen last
    std::set<std::pair<std::string, std::string>> cuts;
    std::deque<Delivery> under_way;
    std::chrono::milliseconds delay{0};
    double loss = 0;
    std::mt19937_64 random;
    Counters counted;
    bool stopping = false;

    base::UniqueFd wake{base::check(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")};
    std::thread thread;

    void run();
    void receive(PortId from, const std::string& frame);
    void offer(const Port& from, Port& to, const std::string& frame);
    void deliver(Port& to, const std::string& frame);
    void deliver_backlog(Port& to);
    void deliver_due();
    void remove(const std::string& name);
    Port* find(PortId id);
    void notify() const {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = ::write(wake.get(), &one, sizeof(one));
    }
};

Switch::Switch() : impl_(std::make_unique<Impl>()) {
    impl_->thread = std::thread([this] { impl_->run(); });
}

Switch::~Switch() {
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->stopping = true;
    }
    impl_->notify();
    impl_->thread.join();
}

base::UniqueFd Switch::plug(const std::string& name) {
    std::array<int, 2> ends{};
    base::check(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), "socketpair");
    base::UniqueFd machine(ends[1]);
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->remove(name);
        impl_->ports.push_back({impl_->next_id++, name, base::UniqueFd(ends[0])});
    }
    impl_->notify();
    return machine;
}

void Switch::unplug(const std::string& name) {
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->remove(name);
    }
    impl_->notify();
}

void Switch::cut(const std::string& one, const std::string& other) {
    const std::lock_guard lock(impl_->mutex);
    impl_->cuts.insert(ordered(one, other));
}

void Switch::heal(const std::string& one, const std::string& other) {
    const std::lock_guard lock(impl_->mutex);
    impl_->cuts.erase(ordered(one, other));
}

void Switch::heal_all() {
    const std::lock_guard lock(impl_->mutex);
    impl_->cuts.clear();
}

void Switch::set_delay(std::chrono::milliseconds delay) {
    const std::lock_guard lock(impl_->mutex);
    impl_->delay = delay;
}

void Switch::set_loss(double share, std::uint64_t seed) {
    const std::lock_guard lock(impl_->mutex);
    impl_->loss = share;
    impl_->random.seed(seed);
}

Switch::Counters Switch::counters() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->counted;
}

Switch::Impl::Port* Switch::Impl::find(PortId id) {
    const auto port = std::find_if(ports.begin(), ports.end(), [id](const Port& p) { return p.id == id; });
    return port == ports.end() ? nullptr : &*port;
}

void Switch::Impl::remove(const std::string& name) {
    std::erase_if(ports, [&name](const Port& port) { return port.name == name; });
    std::erase_if(places, [this](const auto& place) { return find(place.second) == nullptr; });
}

void Switch::Impl::run() {
    std::vector<char> buffer(largest_frame);
    while (true) {
        std::vector<pollfd> fds{{wake.get(), POLLIN, 0}};
        std::vector<PortId> ids;
        int timeout = -1;
        {
            const std::lock_guard lock(mutex);
            if (stopping)
                return;
            deliver_due();
            for (const Port& port : ports) {
                fds.push_back(
                    {port.socket.get(), static_cast<short>(port.backlog.empty() ? POLLIN : POLLIN | POLLOUT), 0});
                ids.push_back(port.id);
            }
            if (!under_way.empty())
                timeout = static_cast<int>(std::max<std::int64_t>(
                    0, std::chrono::ceil<std::chrono::milliseconds>(under_way.front().due - Clock::now()).count()));
        }
        if (::poll(fds.data(), fds.size(), timeout) <= 0)
            continue;
        std::uint64_t count = 0;
        [[maybe_unused]] const ssize_t emptied = ::read(wake.get(), &count, sizeof(count));
        const std::lock_guard lock(mutex);
        for (std::size_t i = 0; i < ids.size(); ++i) {
            if (fds[i + 1].revents == 0)
                continue;
            // Gone while we waited: its descriptor number may be somebody else's by now.
            Port* port = find(ids[i]);
            if (port == nullptr)
                continue;
            deliver_backlog(*port);
            const ssize_t size = ::recv(port->socket.get(), buffer.data(), buffer.size(), 0);
            if (size > 0)
                receive(ids[i], std::string(buffer.data(), static_cast<std::size_t>(size)));
            else if (size == 0 || (errno != EAGAIN && errno != EINTR))
                remove(port->name); // the machine has ended
        }
    }
}

void Switch::Impl::receive(PortId id, const std::string& frame) {
    const Port* from = find(id);
    if (frame.size() < smallest_frame) {
        ++counted.refused;
        return;
    }
    const Mac target = address_at(frame, 0);
    const Mac source = address_at(frame, 6);
    if (!is_group(source))
        places[source] = id;
    const auto known = places.find(target);
    if (!is_group(target) && known != places.end()) {
        if (Port* to = find(known->second); to != nullptr && to->id != id)
            offer(*from, *to, frame);
        return;
    }
    for (Port& to : ports)
        if (to.id != id)
            offer(*from, to, frame);
}

void Switch::Impl::offer(const Port& from, Port& to, const std::string& frame) {
    if (cuts.contains(ordered(from.name, to.name))) {
        ++counted.cut;
    } else if (loss > 0 && std::uniform_real_distribution<double>(0, 1)(random) < loss) {
        ++counted.lost;
    } else if (delay.count() == 0 && under_way.empty()) {
        deliver(to, frame);
    } else if (under_way.size() >= queue_limit) {
        ++counted.refused;
    } else {
        // A delay that became shorter must not let a later frame overtake.
        const auto due = Clock::now() + delay;
        under_way.push_back({under_way.empty() ? due : std::max(due, under_way.back().due), to.id, frame});
    }
}

void Switch::Impl::deliver(Port& to, const std::string& frame) {
    if (to.backlog.size() >= backlog_limit) {
        ++counted.refused;
        return;
    }
    to.backlog.push_back(frame);
    deliver_backlog(to);
}

void Switch::Impl::deliver_backlog(Port& to) {
    for (; !to.backlog.empty(); to.backlog.pop_front()) {
        const std::string& frame = to.backlog.front();
        if (::send(to.socket.get(), frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            ++counted.forwarded;
        else if (errno == EAGAIN)
            return; // poll says when there is room
        else
            ++counted.refused;
    }
}

void Switch::Impl::deliver_due() {
    while (!under_way.empty() && under_way.front().due <= Clock::now()) {
        if (Port* to = find(under_way.front().to); to != nullptr)
            deliver(*to, under_way.front().frame);
        under_way.pop_front();
    }
}

} // namespace qemu
