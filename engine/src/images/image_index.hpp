// The names of images (references.json), and the note beside each layer (layer.json).
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace engine {

struct Reference;

class ImageIndex {
public:
    /// Empty when there is no such file. Throws base::Error.
    static ImageIndex load(const std::string& path);
    /// Survives a power cut once it returns.
    void store(const std::string& path) const;

    /// The id behind a name or a digest; empty when there is none.
    std::string find(const Reference& reference) const;
    void set(const std::string& name, const std::string& id) { names_[name] = id; }
    void add_digest(const std::string& name_at_digest, const std::string& id) { digests_[name_at_digest] = id; }
    bool erase(const std::string& name) { return names_.erase(name) != 0; }
    void erase_image(const std::string& id);
    std::vector<std::string> names_of(const std::string& id) const;
    std::vector<std::string> digests_of(const std::string& id) const;

private:
    std::map<std::string, std::string> names_;   ///< "docker.io/library/busybox:1" -> id
    std::map<std::string, std::string> digests_; ///< "docker.io/library/busybox@sha256:..." -> id
};

void write_layer_file(const std::string& path, const std::string& diff_id, const std::string& parent,
                      std::uint64_t size);
/// Throws base::Error.
std::uint64_t read_layer_size(const std::string& path);

} // namespace engine
