// What `docker save` and OCI tools write: a tar with a manifest.json (docker-archive) or an index.json (OCI image
// layout), the images' configurations and their layers.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "images/archive_reader.hpp"

namespace engine {

/// An image found in an archive. Nothing of it is trusted but what is checked: the configuration names the digests of
/// the layers, and is itself the image's id.
struct ArchivedImage {
    std::string config;                  ///< JSON text
    std::vector<std::string> layers;     ///< names for `ImageArchive::open`, lowest first
    std::vector<std::string> references; ///< as written; may be bad
};

struct ArchiveLimits {
    std::uint64_t bytes = std::uint64_t{64} << 30;
    std::uint64_t files = 20'000;
    std::size_t json_bytes = 8 * 1024 * 1024; ///< of a manifest or configuration
};

/// The files of an archive, unpacked side by side under numbers into a directory of ours: no name from the archive is
/// ever a path.
class ImageArchive {
public:
    /// Reads the whole source. `directory` is empty, private and outlives the archive. Throws base::Error.
    ImageArchive(const ByteSource& source, int directory, const ArchiveLimits& limits);

    /// The images: those of manifest.json if there is one, else those of index.json that run here (linux, this
    /// architecture, or no platform named). Manifests and configurations named by a digest are checked against it.
    std::vector<ArchivedImage> images() const;
    base::UniqueFd open(const std::string& name) const;

private:
    void store(archive_entry* entry, ArchiveReader& tar);
    std::string resolve(const std::string& name) const;
    bool has(const std::string& name) const { return !resolve(name).empty(); }
    std::string read(const std::string& name) const;
    std::string read_blob(const std::string& digest) const;
    std::vector<ArchivedImage> docker_images() const;
    void add_oci_images(const std::string& index, const std::string& name, unsigned depth,
                        std::vector<ArchivedImage>& images) const;
    ArchivedImage oci_image(const std::string& manifest, const std::string& name) const;

    int directory_;
    ArchiveLimits limits_;
    std::uint64_t bytes_ = 0;
    std::map<std::string, std::string> files_; ///< name in the archive -> number
    std::map<std::string, std::string> links_; ///< name -> name (docker save makes links to layers it has twice)
};

} // namespace engine
