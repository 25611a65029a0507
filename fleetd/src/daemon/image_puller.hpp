// Pulls images in a thread of its own, one after the other: minutes of download must not hold the agent up.
#pragma once
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "daemon/engine_api.hpp"

namespace fleet {

class ImagePuller {
public:
    /// `done` is called in the puller's thread after each pull.
    ImagePuller(EngineFactory connect, std::function<void()> done);
    /// Does not wait for a pull under way: its thread is then left to end with the process.
    ~ImagePuller();

    /// Nothing when it is asked for already.
    void request(const std::string& image);
    /// What is known of an image besides whether it is present.
    ImageState state(const std::string& image) const;
    /// Forgets the failure of an image, once it is present or nobody needs it.
    void forget(const std::string& image);

private:
    struct Shared;
    std::shared_ptr<Shared> shared_;
    std::thread thread_;
};

} // namespace fleet
