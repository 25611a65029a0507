#include "daemon/image_puller.hpp"

#include "base/log.hpp"

namespace fleet {

struct ImagePuller::Shared {
    struct Item {
        ImageState state;
        unsigned attempts = 0;
    };
    EngineFactory connect;
    std::function<void()> done;
    mutable std::mutex mutex;
    std::condition_variable asked;
    std::deque<std::string> queue;
    std::map<std::string, Item> items;
    bool stopping = false;

    void run() {
        std::unique_lock lock(mutex);
        for (;;) {
            asked.wait(lock, [&] { return stopping || !queue.empty(); });
            if (stopping)
                return;
            const std::string image = queue.front();
            lock.unlock();
            const std::string error = pull(image);
            lock.lock();
            queue.pop_front();
            Item& item = items[image];
            item.state.pulling = false;
            item.state.error = error;
            item.attempts = error.empty() ? 0 : item.attempts + 1;
            item.state.retry_at = std::chrono::steady_clock::now() + retry_delay(item.attempts);
            if (!stopping)
                done();
        }
    }

    std::string pull(const std::string& image) const {
        base::log_info("pulling image={}", image);
        try {
            connect()->pull(image);
            return {};
        } catch (const std::exception& error) {
            base::log_warning("{}", base::error_chain(error));
            return base::error_chain(error);
        }
    }
};

ImagePuller::ImagePuller(EngineFactory connect, std::function<void()> done) : shared_(std::make_shared<Shared>()) {
    shared_->connect = std::move(connect);
    shared_->done = std::move(done);
    thread_ = std::thread([shared = shared_] { shared->run(); });
}

ImagePuller::~ImagePuller() {
    bool busy = false;
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->stopping = true;
        shared_->asked.notify_all();
        busy = !shared_->queue.empty();
    }
    if (busy)
        thread_.detach();
    else
        thread_.join();
}

void ImagePuller::request(const std::string& image) {
    const std::lock_guard lock(shared_->mutex);
    ImageState& state = shared_->items[image].state;
    if (std::exchange(state.pulling, true))
        return;
    shared_->queue.push_back(image);
    shared_->asked.notify_all();
}

ImageState ImagePuller::state(const std::string& image) const {
    const std::lock_guard lock(shared_->mutex);
    const auto it = shared_->items.find(image);
    return it == shared_->items.end() ? ImageState{} : it->second.state;
}

void ImagePuller::forget(const std::string& image) {
    const std::lock_guard lock(shared_->mutex);
    const auto it = shared_->items.find(image);
    if (it != shared_->items.end() && !it->second.state.pulling)
        shared_->items.erase(it);
}

} // namespace fleet
