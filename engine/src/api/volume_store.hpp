// Named directories that outlive containers: DIRECTORY/<name>/_data, and volume.json beside it. The only driver: local.
#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/container.hpp"

namespace engine::api {

struct Volume {
    std::string name;
    std::string directory; ///< ".../_data"
    std::map<std::string, std::string> labels;
    TimePoint created;
    bool anonymous = false;
    std::string remove_with; ///< id of the container (`--rm`) whose end is the volume's too, or empty
};

class VolumeStore {
public:
    /// Reads what is there. Throws base::Error. A damaged volume is logged and left alone.
    explicit VolumeStore(std::string directory);

    struct Created {
        Volume volume;
        bool fresh = false; ///< it did not exist before
    };
    /// An empty name makes an anonymous volume. An existing one of the name is returned as it is.
    Created create(const std::string& name, const std::map<std::string, std::string>& labels);
    /// Anonymous volumes of a container that is removed at its end go with it.
    void set_remove_with(const std::string& name, const std::string& container_id);
    std::optional<Volume> find(const std::string& name) const;
    std::vector<Volume> list() const; ///< by name
    /// Whether a container uses it is the caller's question. Throws base::Error (ENOENT).
    void remove(const std::string& name);

private:
    std::string path(const std::string& name) const { return directory_ + "/" + name; }
    void write(const Volume& volume) const;

    const std::string directory_;
    mutable std::mutex mutex_;
    std::map<std::string, Volume> volumes_;
};

} // namespace engine::api
