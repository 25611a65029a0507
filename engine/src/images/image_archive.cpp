#include "images/image_archive.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/json.hpp"
#include "base/sha256.hpp"
#include "images/layer.hpp"
#include "images/reference.hpp"

namespace engine {
namespace {

using base::JsonObject;

#if defined(__x86_64__)
constexpr std::string_view architecture = "amd64";
#elif defined(__aarch64__)
constexpr std::string_view architecture = "arm64";
#else
#error "name this architecture as GOARCH does"
#endif

constexpr unsigned index_depth = 4;
constexpr unsigned link_depth = 8;
constexpr std::size_t image_limit = 256;

bool is_index(const std::string& media_type) {
    return media_type == "application/vnd.oci.image.index.v1+json" ||
           media_type == "application/vnd.docker.distribution.manifest.list.v2+json";
}

std::string blob_name(const std::string& digest) {
    return "blobs/sha256/" + digest_hex(digest);
}

bool runs_here(const JsonObject& descriptor) {
    const auto platform = descriptor.object("platform");
    return !platform || (platform->string("os") == "linux" && platform->string("architecture") == architecture);
}

/// The names an index gives a manifest: containerd's annotation has the whole, the standard one a tag or the whole.
std::vector<std::string> references_of(const JsonObject& descriptor) {
    const auto annotations = descriptor.object("annotations");
    if (!annotations)
        return {};
    for (const char* key : {"io.containerd.image.name", "org.opencontainers.image.ref.name"}) {
        const std::string name = annotations->string(key);
        // A bare tag ("latest") names no image.
        if (name.find_first_of("/:") != std::string::npos)
            return {name};
    }
    return {};
}

} // namespace

ImageArchive::ImageArchive(const ByteSource& source, int directory, const ArchiveLimits& limits)
    : directory_(directory), limits_(limits) {
    ArchiveReader tar(source, ArchiveReader::Kind::tar, "image archive");
    std::uint64_t entries = 0;
    while (archive_entry* entry = tar.next()) {
        if (++entries > limits_.files)
            throw base::Error(fmt::format("image archive: more than {} entries", limits_.files));
        store(entry, tar);
    }
}

void ImageArchive::store(archive_entry* entry, ArchiveReader& tar) {
    const char* raw_name = archive_entry_pathname(entry);
    if (raw_name == nullptr || archive_entry_filetype(entry) == AE_IFDIR)
        return;
    const std::string name = clean_path(raw_name);
    if (const char* target = archive_entry_hardlink(entry)) {
        links_[name] = clean_path(target);
        return;
    }
    if (const char* target = archive_entry_symlink(entry)) {
        // "../<id>/layer.tar", seen from the link's own directory; it is looked up among the archive's names only.
        const std::filesystem::path path = std::filesystem::path(name).parent_path() / target;
        links_[name] = clean_path(path.lexically_normal().string());
        return;
    }
    if (archive_entry_filetype(entry) != AE_IFREG)
        throw base::Error(fmt::format("image archive: {:?} is no file", name));
    if (files_.contains(name))
        throw base::Error(fmt::format("image archive: {:?} is there twice", name));
    const std::string number = std::to_string(files_.size());
    const base::UniqueFd file = base::open_at(directory_, number, O_WRONLY | O_CREAT | O_EXCL, 0600);
    std::string_view block;
    std::int64_t offset = 0;
    std::int64_t end = 0;
    while (tar.read_block(block, offset)) {
        bytes_ += block.size();
        if (offset != end || bytes_ > limits_.bytes)
            throw base::Error(EFBIG, fmt::format("image archive: {:?}", name));
        base::write_all(file.get(), block, name);
        end += static_cast<std::int64_t>(block.size());
    }
    files_.emplace(name, number);
}

/// The number of the file behind a name; empty when there is none.
std::string ImageArchive::resolve(const std::string& name) const {
    std::string at = name;
    for (unsigned depth = 0; depth < link_depth; ++depth) {
        if (const auto file = files_.find(at); file != files_.end())
            return file->second;
        const auto link = links_.find(at);
        if (link == links_.end())
            return {};
        at = link->second;
    }
    return {};
}

base::UniqueFd ImageArchive::open(const std::string& name) const {
    const std::string number = resolve(clean_path(name));
    if (number.empty())
        throw base::Error(ENOENT, fmt::format("image archive: {:?}", name));
    return base::open_at(directory_, number, O_RDONLY);
}

std::string ImageArchive::read(const std::string& name) const {
    return base::read_fd(open(name).get(), limits_.json_bytes, "image archive: " + name);
}

std::string ImageArchive::read_blob(const std::string& digest) const {
    std::string content = read(blob_name(digest));
    if (base::sha256_hex(content) != digest_hex(digest))
        throw base::Error(fmt::format("image archive: blob {} has another content", digest));
    return content;
}

std::vector<ArchivedImage> ImageArchive::images() const {
    if (has("manifest.json"))
        return docker_images();
    if (!has("index.json"))
        throw base::Error("image archive: neither manifest.json (docker save) nor index.json (OCI layout) is in it");
    std::vector<ArchivedImage> images;
    add_oci_images(read("index.json"), "index.json", 0, images);
    if (images.empty())
        throw base::Error(fmt::format("image archive: no image for linux/{} in it", architecture));
    return images;
}

std::vector<ArchivedImage> ImageArchive::docker_images() const {
    const base::json::value document = base::parse_json(read("manifest.json"), "manifest.json");
    if (!document.is_array() || document.as_array().empty() || document.as_array().size() > image_limit)
        throw base::Error(fmt::format("manifest.json: expected a list of 1 to {} images", image_limit));
    std::vector<ArchivedImage> images;
    for (const base::json::value& item : document.as_array()) {
        const JsonObject object(item, "manifest.json");
        const std::string config_name = object.required_string("Config");
        ArchivedImage image{
            .config = read(config_name), .layers = object.strings("Layers"), .references = object.strings("RepoTags")};
        // "<digest>.json" or "blobs/sha256/<digest>"; other names claim nothing.
        const std::string stem = std::filesystem::path(config_name).stem().string();
        if (base::is_sha256_hex(stem) && base::sha256_hex(image.config) != stem)
            throw base::Error(fmt::format("image archive: {:?} has another content", config_name));
        images.push_back(std::move(image));
    }
    return images;
}

void ImageArchive::add_oci_images(const std::string& index, const std::string& name, unsigned depth,
                                  std::vector<ArchivedImage>& images) const {
    if (depth > index_depth)
        throw base::Error("image archive: indexes nested too deep");
    const base::json::value document = base::parse_json(index, name);
    const JsonObject object(document, name);
    for (const base::json::value& item : object.array("manifests")) {
        const JsonObject descriptor(item, name);
        if (!runs_here(descriptor))
            continue;
        const std::string digest = descriptor.required_string("digest");
        const std::string content = read_blob(digest);
        const std::size_t first = images.size();
        if (is_index(descriptor.string("mediaType")))
            add_oci_images(content, digest, depth + 1, images);
        else
            images.push_back(oci_image(content, digest));
        if (images.size() > image_limit)
            throw base::Error(fmt::format("image archive: more than {} images", image_limit));
        for (std::size_t i = first; i < images.size(); ++i)
            for (std::string& reference : references_of(descriptor))
                images[i].references.push_back(std::move(reference));
    }
}

ArchivedImage ImageArchive::oci_image(const std::string& manifest, const std::string& name) const {
    const base::json::value document = base::parse_json(manifest, name);
    const JsonObject object(document, name);
    const auto config = object.object("config");
    if (!config)
        throw base::Error(name + ": config: missing");
    ArchivedImage image{.config = read_blob(config->required_string("digest")), .layers = {}, .references = {}};
    for (const base::json::value& layer : object.array("layers"))
        image.layers.push_back(blob_name(JsonObject(layer, name + ": layers").required_string("digest")));
    return image;
}

} // namespace engine
