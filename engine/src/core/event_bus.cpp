#include "core/event_bus.hpp"

#include <condition_variable>

namespace engine {

struct EventSubscription::Queue {
    static constexpr std::size_t limit = 4096;
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Event> events;
    bool stopped = false;
};

EventSubscription::EventSubscription(std::shared_ptr<Queue> queue) : queue_(std::move(queue)) {}
EventSubscription::EventSubscription(EventSubscription&&) noexcept = default;
EventSubscription& EventSubscription::operator=(EventSubscription&&) noexcept = default;
EventSubscription::~EventSubscription() = default;

std::optional<Event> EventSubscription::next(std::chrono::milliseconds timeout) {
    std::unique_lock lock(queue_->mutex);
    queue_->changed.wait_for(lock, timeout, [&] { return queue_->stopped || !queue_->events.empty(); });
    if (queue_->events.empty())
        return std::nullopt;
    Event event = std::move(queue_->events.front());
    queue_->events.pop_front();
    return event;
}

EventSubscription EventBus::subscribe() {
    auto queue = std::make_shared<EventSubscription::Queue>();
    std::lock_guard lock(mutex_);
    queue->stopped = stopped_;
    queues_.push_back(queue);
    return EventSubscription(std::move(queue));
}

void EventBus::publish(Event event) {
    std::lock_guard lock(mutex_);
    recent_.push_back(event);
    if (recent_.size() > kept)
        recent_.pop_front();
    std::erase_if(queues_, [&](const std::weak_ptr<EventSubscription::Queue>& weak) {
        const auto queue = weak.lock();
        if (!queue)
            return true;
        std::lock_guard queue_lock(queue->mutex);
        queue->events.push_back(event);
        if (queue->events.size() > EventSubscription::Queue::limit)
            queue->events.pop_front();
        queue->changed.notify_all();
        return false;
    });
}

std::vector<Event> EventBus::recent() const {
    std::lock_guard lock(mutex_);
    return {recent_.begin(), recent_.end()};
}

void EventBus::stop() noexcept {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    for (const auto& weak : queues_)
        if (const auto queue = weak.lock()) {
            std::lock_guard queue_lock(queue->mutex);
            queue->stopped = true;
            queue->changed.notify_all();
        }
}

} // namespace engine
