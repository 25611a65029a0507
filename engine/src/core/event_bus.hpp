// Events to subscribers, without ever waiting for one.
#pragma once
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/engine.hpp"

namespace engine {

class EventBus {
public:
    EventSubscription subscribe();
    void publish(Event event);
    std::vector<Event> recent() const;
    /// Subscribers' `next` return at once from now on.
    void stop() noexcept;

private:
    static constexpr std::size_t kept = 1024;
    mutable std::mutex mutex_;
    std::deque<Event> recent_;
    std::vector<std::weak_ptr<EventSubscription::Queue>> queues_;
    bool stopped_ = false;
};

} // namespace engine
