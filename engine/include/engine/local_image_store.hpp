// The images of this host: configurations by id, names for them, layers extracted for overlayfs.
//
// DIRECTORY/images/<id>.json      the configuration, byte for byte (its digest is the id)
// DIRECTORY/layers/<chain id>/    diff/ (an overlayfs lower directory) and layer.json
// DIRECTORY/references.json       names -> ids
// DIRECTORY/incoming/             half-made things; emptied at start
//
// A layer is extracted below incoming/, checked against its diff id, synced, renamed into place; then the configuration
// is written, then the names: what a power cut leaves is an image or none. All methods are thread-safe.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/image_store.hpp"

namespace engine {

/// Everything known of an image.
struct ImageRecord {
    ImageInfo info;
    std::vector<std::string> references; ///< "docker.io/library/busybox:1"
    std::vector<std::string> digests;    ///< "docker.io/library/busybox@sha256:..." of registries it came from
    std::vector<std::string> diff_ids;   ///< lowest first
    std::vector<std::string> chain_ids;  ///< lowest first
    std::uint64_t size = 0;              ///< bytes of its layers' files
    std::vector<std::uint64_t> layer_sizes; ///< lowest first
    std::string architecture;
    std::string os;
    std::string variant;
    std::string author;
    std::string created; ///< RFC 3339, or empty
    std::string json;    ///< the configuration as it came
};

struct LoadedImage {
    std::string id;
    std::vector<std::string> references; ///< "docker.io/library/busybox:1"
};

class LocalImageStore final : public ImageStore {
public:
    /// Gives the next bytes of an archive; 0 at the end. May throw.
    using Source = std::function<std::size_t(char* buffer, std::size_t size)>;

    /// Makes the directory when missing, removes what a crash left half-made. Throws Error. An image whose files are
    /// damaged is logged and not known; its files are kept.
    explicit LocalImageStore(std::string directory);
    ~LocalImageStore() override;

    std::optional<ImageInfo> resolve(const std::string& reference) const override;
    std::vector<std::string> load_file(const std::string& path) override;

    /// Loads a docker-archive or OCI layout, compressed (gzip, zstd, xz) or not. Throws Error; then nothing is kept.
    std::vector<LoadedImage> load(const Source& source);
    /// nullopt when there is none; throws Error when an id prefix fits several.
    std::optional<ImageRecord> find(const std::string& reference) const;
    /// Newest first by the images' own date.
    std::vector<ImageRecord> list() const;
    /// Gives an image (by `find`) another name; the name is taken from the image that had it. Throws Error.
    void tag(const std::string& reference, const std::string& name);
    /// Takes a name ("docker.io/library/busybox:1") away; false when there is no such name.
    bool untag(const std::string& canonical_name);
    /// Removes an image and its names, and the layers no other image has. Returns the chain ids removed.
    /// Whether a container uses it is the caller's question.
    std::vector<std::string> remove(const std::string& id);

    /// One layer of an image that is being installed: opens its blob, compressed or not.
    using LayerOpener = std::function<Source()>;
    /// Installs an image from its configuration and layers (lowest first). Throws Error; then nothing is kept.
    LoadedImage install(const std::string& configuration, const std::vector<LayerOpener>& layers,
                        const std::vector<std::string>& references, const std::vector<std::string>& digests = {});
    /// An empty directory for downloads, removed when the owner lets go of it.
    std::shared_ptr<const std::string> scratch_directory();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace engine
