#include "store/change_log.hpp"

namespace fleet {

class ChangeLog::Watcher final : public Watch {
public:
    Watcher(std::shared_ptr<ChangeLog> log, std::string prefix, Revision after)
        : log_(std::move(log)), prefix_(std::move(prefix)), after_(after) {}

    std::optional<std::vector<Change>> next(std::chrono::milliseconds timeout) override {
        const auto deadline = std::chrono::steady_clock::now() + timeout;
        std::unique_lock lock(log_->mutex_);
        std::vector<Change> found;
        for (;;) {
            if (after_ < log_->forgotten_) {
                after_ = log_->latest_;
                return std::nullopt;
            }
            for (const Change& change : log_->changes_) {
                if (change.revision > after_ && change.key.starts_with(prefix_))
                    found.push_back(change);
            }
            after_ = log_->latest_;
            if (!found.empty() || std::exchange(interrupted_, false))
                return found;
            if (log_->changed_.wait_until(lock, deadline) == std::cv_status::timeout && after_ == log_->latest_ &&
                !interrupted_)
                return found;
        }
    }

    void interrupt() noexcept override {
        const std::lock_guard lock(log_->mutex_);
        interrupted_ = true;
        log_->changed_.notify_all();
    }

private:
    std::shared_ptr<ChangeLog> log_;
    std::string prefix_;
    Revision after_;
    bool interrupted_ = false;
};

void ChangeLog::append(const std::vector<Change>& changes) {
    const std::lock_guard lock(mutex_);
    for (const Change& change : changes) {
        changes_.push_back(change);
        latest_ = std::max(latest_, change.revision);
    }
    while (changes_.size() > kept) {
        forgotten_ = changes_.front().revision;
        changes_.pop_front();
    }
    changed_.notify_all();
}

std::unique_ptr<Watch> ChangeLog::watch(std::string prefix, Revision after) {
    return std::make_unique<Watcher>(shared_from_this(), std::move(prefix), after);
}

} // namespace fleet
