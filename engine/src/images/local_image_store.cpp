#include "engine/local_image_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mutex>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "base/scope_exit.hpp"
#include "base/sha256.hpp"
#include "images/archive_reader.hpp"
#include "images/image_archive.hpp"
#include "images/image_config.hpp"
#include "images/image_index.hpp"
#include "images/layer.hpp"
#include "images/reference.hpp"

namespace engine {
namespace {

std::vector<std::string> names_in(const std::string& directory) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory))
        names.push_back(entry.path().filename().string());
    return names;
}

/// A layer that was extracted and waits below incoming/ for its rename.
struct ReadyLayer {
    std::string directory;
    std::uint64_t size = 0;
};

/// Layers that have left their place; their files are still below incoming/.
struct RemovedLayers {
    std::vector<std::string> chain_ids;
    std::vector<std::string> directories;

    /// Thousands of files: this takes time, and needs no lock.
    void erase_files() const {
        for (const std::string& directory : directories)
            base::remove_tree(directory);
    }
};

} // namespace

struct LocalImageStore::Impl {
    explicit Impl(std::string path) : directory(std::move(path)) {}

    const std::string directory;
    mutable std::mutex mutex;                    // guards all below
    std::map<std::string, ImageRecord> images;   // by id; references empty: `index` has them
    std::map<std::string, std::uint64_t> layers; // size by chain id
    std::map<std::string, unsigned> pinned;      // chain ids that an installation counts on
    std::uint64_t removal_count = 0;
    ImageIndex index;

    std::string incoming() const { return directory + "/incoming"; }
    std::string layer_path(const std::string& chain_id) const { return directory + "/layers/" + digest_hex(chain_id); }
    std::string image_path(const std::string& id) const { return directory + "/images/" + digest_hex(id) + ".json"; }
    std::string index_path() const { return directory + "/references.json"; }

    void open();
    void load_layers();
    bool load_images();
    void complete(ImageRecord& record) const;
    const ImageRecord* lookup(const std::string& reference) const;
    ImageRecord with_names(const ImageRecord& record) const;
    void change_index(ImageIndex changed);
    RemovedLayers take_unused_layers();
    ReadyLayer extract(const LayerOpener& open_blob, const std::string& diff_id, const std::string& parent,
                       const std::string& path);
    void commit(const ImageRecord& record, const std::map<std::string, ReadyLayer>& ready,
                const std::vector<std::string>& names, const std::vector<std::string>& digests);
};

void LocalImageStore::Impl::open() {
    // Layers hold set-user-id programs and devices of strangers: nobody but root gets there.
    base::make_directories(directory, 0700);
    base::remove_tree(incoming());
    base::make_directories(incoming(), 0700);
    base::make_directories(directory + "/images", 0700);
    base::make_directories(directory + "/layers", 0700);
    load_layers();
    const bool whole = load_images();
    index = ImageIndex::load(index_path());
    // A crash between renaming a layer and writing its image leaves a layer without an image.
    if (whole)
        take_unused_layers().erase_files();
}

void LocalImageStore::Impl::load_layers() {
    for (const std::string& name : names_in(directory + "/layers")) {
        try {
            if (!base::is_sha256_hex(name))
                throw base::Error("not a chain id");
            layers["sha256:" + name] = read_layer_size(directory + "/layers/" + name + "/layer.json");
        } catch (const std::exception& error) {
            base::log_error("image layer is damaged name={} reason={}", name, base::error_chain(error));
        }
    }
}

/// False when there was one that could not be read.
bool LocalImageStore::Impl::load_images() {
    bool whole = true;
    for (const std::string& name : names_in(directory + "/images")) {
        const std::string path = directory + "/images/" + name;
        try {
            ImageRecord record = parse_image_config(base::read_file(path));
            if (image_path(record.info.id) != path)
                throw base::Error("the content does not have this digest");
            complete(record);
            images.emplace(record.info.id, std::move(record));
        } catch (const std::exception& error) {
            base::log_error("image is damaged file={} reason={}", path, base::error_chain(error));
            whole = false;
        }
    }
    return whole;
}

/// Fills in what the layers on disk tell.
void LocalImageStore::Impl::complete(ImageRecord& record) const {
    record.size = 0;
    record.layer_sizes.clear();
    record.info.lower_directories.clear();
    for (const std::string& chain_id : record.chain_ids) {
        const auto layer = layers.find(chain_id);
        if (layer == layers.end())
            throw base::Error(fmt::format("layer {} is missing", chain_id));
        record.size += layer->second;
        record.layer_sizes.push_back(layer->second);
        record.info.lower_directories.insert(record.info.lower_directories.begin(), layer_path(chain_id) + "/diff");
    }
}

ImageRecord LocalImageStore::Impl::with_names(const ImageRecord& record) const {
    ImageRecord copy = record;
    copy.references = index.names_of(record.info.id);
    copy.digests = index.digests_of(record.info.id);
    return copy;
}

/// Called with the mutex held. As docker: an exact id, then a name, then a prefix of an id.
const ImageRecord* LocalImageStore::Impl::lookup(const std::string& reference) const {
    const auto by_id = [this](const std::string& id) {
        const auto found = images.find(id);
        return found == images.end() ? nullptr : &found->second;
    };
    if (is_digest(reference))
        return by_id(reference);
    if (base::is_sha256_hex(reference))
        return by_id("sha256:" + reference);
    if (const auto parsed = parse_reference(reference)) {
        if (const std::string id = index.find(*parsed); !id.empty())
            return by_id(id);
    }
    std::string_view prefix = reference;
    if (prefix.starts_with("sha256:"))
        prefix.remove_prefix(7);
    if (prefix.empty() || prefix.find_first_not_of("0123456789abcdef") != std::string_view::npos)
        return nullptr;
    const std::string key = "sha256:" + std::string(prefix);
    const auto first = images.lower_bound(key);
    if (first == images.end() || !first->first.starts_with(key))
        return nullptr;
    if (const auto second = std::next(first); second != images.end() && second->first.starts_with(key))
        throw base::Error(fmt::format("image id prefix {:?} fits several images", prefix));
    return &first->second;
}

/// Called with the mutex held. The file first: what is in memory is on disk.
void LocalImageStore::Impl::change_index(ImageIndex changed) {
    changed.store(index_path());
    index = std::move(changed);
}

/// Called with the mutex held, or before there are other threads.
RemovedLayers LocalImageStore::Impl::take_unused_layers() {
    std::set<std::string> used;
    for (const auto& [id, record] : images)
        used.insert(record.chain_ids.begin(), record.chain_ids.end());
    RemovedLayers removed;
    for (auto layer = layers.begin(); layer != layers.end();) {
        if (used.contains(layer->first) || pinned.contains(layer->first)) {
            ++layer;
            continue;
        }
        // Out of sight at once: a crash in the middle of the removal leaves no half layer under its name.
        std::string grave = fmt::format("{}/removed.{}", incoming(), ++removal_count);
        base::check(::rename(layer_path(layer->first).c_str(), grave.c_str()), "rename " + layer_path(layer->first));
        removed.chain_ids.push_back(layer->first);
        removed.directories.push_back(std::move(grave));
        layer = layers.erase(layer);
    }
    return removed;
}

ReadyLayer LocalImageStore::Impl::extract(const LayerOpener& open_blob, const std::string& diff_id,
                                          const std::string& parent, const std::string& path) {
    base::make_directories(path + "/diff", 0755);
    const base::UniqueFd root = base::open_file(path + "/diff", O_RDONLY | O_DIRECTORY);
    const ExtractedLayer layer = extract_layer(open_blob(), root.get(), LayerLimits{}, "layer " + diff_id);
    if (layer.diff_id != diff_id)
        throw base::Error(fmt::format("layer {}: its content has the digest {}", diff_id, layer.diff_id));
    write_layer_file(path + "/layer.json", diff_id, parent, layer.size);
    return {.directory = path, .size = layer.size};
}

/// Called with the mutex held: files into their places, in an order in which each rests on what is there already.
void LocalImageStore::Impl::commit(const ImageRecord& record, const std::map<std::string, ReadyLayer>& ready,
                                   const std::vector<std::string>& names, const std::vector<std::string>& digests) {
    for (const auto& [chain_id, layer] : ready) {
        if (layers.contains(chain_id))
            continue; // another installation was quicker
        // A damaged one of the name, which `load_layers` refused, makes room.
        base::remove_tree(layer_path(chain_id));
        base::check(::rename(layer.directory.c_str(), layer_path(chain_id).c_str()), "rename " + layer.directory);
        layers[chain_id] = layer.size;
    }
    base::sync_directory(directory + "/layers");
    ImageRecord complete_record = record;
    complete(complete_record);
    if (!images.contains(record.info.id)) {
        base::write_durable(image_path(record.info.id), record.json, 0600);
        images.emplace(record.info.id, std::move(complete_record));
    }
    ImageIndex changed = index;
    for (const std::string& name : names)
        changed.set(name, record.info.id);
    for (const std::string& digest : digests)
        changed.add_digest(digest, record.info.id);
    change_index(std::move(changed));
}

LocalImageStore::LocalImageStore(std::string directory) : impl_(std::make_unique<Impl>(std::move(directory))) {
    impl_->open();
}

LocalImageStore::~LocalImageStore() = default;

std::optional<ImageRecord> LocalImageStore::find(const std::string& reference) const {
    const std::lock_guard lock(impl_->mutex);
    const ImageRecord* record = impl_->lookup(reference);
    if (record == nullptr)
        return std::nullopt;
    return impl_->with_names(*record);
}

std::optional<ImageInfo> LocalImageStore::resolve(const std::string& reference) const {
    auto record = find(reference);
    if (!record)
        return std::nullopt;
    return std::move(record->info);
}

std::vector<ImageRecord> LocalImageStore::list() const {
    std::vector<ImageRecord> records;
    {
        const std::lock_guard lock(impl_->mutex);
        for (const auto& [id, record] : impl_->images)
            records.push_back(impl_->with_names(record));
    }
    // RFC 3339 in UTC sorts as text; other zones are rare and only the order of the list depends on it.
    std::stable_sort(records.begin(), records.end(),
                     [](const ImageRecord& a, const ImageRecord& b) { return a.created > b.created; });
    return records;
}

void LocalImageStore::tag(const std::string& reference, const std::string& name) {
    const Reference target = require_reference(name);
    if (target.tag.empty())
        throw base::Error(fmt::format("{:?}: a name with a digest cannot be given", name));
    const std::lock_guard lock(impl_->mutex);
    const ImageRecord* record = impl_->lookup(reference);
    if (record == nullptr)
        throw base::Error(ENOENT, fmt::format("image {}", reference));
    ImageIndex changed = impl_->index;
    changed.set(target.tagged(), record->info.id);
    impl_->change_index(std::move(changed));
}

bool LocalImageStore::untag(const std::string& canonical_name) {
    const std::lock_guard lock(impl_->mutex);
    ImageIndex changed = impl_->index;
    if (!changed.erase(canonical_name))
        return false;
    impl_->change_index(std::move(changed));
    return true;
}

std::vector<std::string> LocalImageStore::remove(const std::string& id) {
    std::unique_lock lock(impl_->mutex);
    const auto image = impl_->images.find(id);
    if (image == impl_->images.end())
        throw base::Error(ENOENT, "image " + id);
    ImageIndex changed = impl_->index;
    changed.erase_image(id);
    impl_->change_index(std::move(changed));
    base::check(::unlink(impl_->image_path(id).c_str()), "remove " + impl_->image_path(id));
    base::sync_directory(impl_->directory + "/images");
    impl_->images.erase(image);
    RemovedLayers removed = impl_->take_unused_layers();
    lock.unlock();
    removed.erase_files();
    return std::move(removed.chain_ids);
}

LoadedImage LocalImageStore::install(const std::string& configuration, const std::vector<LayerOpener>& layers,
                                     const std::vector<std::string>& references,
                                     const std::vector<std::string>& digests) {
    const ImageRecord record = parse_image_config(configuration);
    if (record.diff_ids.size() != layers.size())
        throw base::Error(fmt::format("image {}: {} layers where its configuration has {}", record.info.id,
                                      layers.size(), record.diff_ids.size()));
    LoadedImage loaded{.id = record.info.id, .references = {}};
    for (const std::string& reference : references)
        if (const std::string name = require_reference(reference).tagged(); !name.empty())
            loaded.references.push_back(name);

    const base::TempDir workspace("install", impl_->incoming());
    std::set<std::string> missing;
    {
        const std::lock_guard lock(impl_->mutex);
        for (const std::string& chain_id : record.chain_ids) {
            ++impl_->pinned[chain_id];
            if (!impl_->layers.contains(chain_id))
                missing.insert(chain_id);
        }
    }
    const base::ScopeExit unpin([&] {
        const std::lock_guard lock(impl_->mutex);
        for (const std::string& chain_id : record.chain_ids)
            if (--impl_->pinned[chain_id] == 0)
                impl_->pinned.erase(chain_id);
    });
    std::map<std::string, ReadyLayer> ready;
    for (std::size_t i = 0; i < layers.size(); ++i) {
        const std::string& chain_id = record.chain_ids[i];
        const std::string place = fmt::format("{}/{}", workspace.path(), i);
        if (missing.contains(chain_id))
            ready[chain_id] =
                impl_->extract(layers[i], record.diff_ids[i], i == 0 ? std::string() : record.chain_ids[i - 1], place);
    }
    if (!ready.empty()) {
        // One sync for thousands of files, instead of an fsync of each.
        const base::UniqueFd root = base::open_file(workspace.path(), O_RDONLY | O_DIRECTORY);
        base::check(::syncfs(root.get()), "sync " + workspace.path());
    }
    const std::lock_guard lock(impl_->mutex);
    impl_->commit(record, ready, loaded.references, digests);
    return loaded;
}

std::vector<LoadedImage> LocalImageStore::load(const Source& source) {
    const auto scratch = scratch_directory();
    const base::UniqueFd directory = base::open_file(*scratch, O_RDONLY | O_DIRECTORY);
    const ImageArchive archive(source, directory.get(), ArchiveLimits{});
    std::vector<LoadedImage> loaded;
    for (const ArchivedImage& image : archive.images()) {
        std::vector<LayerOpener> layers;
        for (const std::string& layer : image.layers)
            layers.push_back([&archive, layer]() -> Source {
                auto file = std::make_shared<base::UniqueFd>(archive.open(layer));
                return [file, read = descriptor_source(file->get(), layer)](char* buffer, std::size_t size) {
                    return read(buffer, size);
                };
            });
        loaded.push_back(install(image.config, layers, image.references));
    }
    return loaded;
}

std::vector<std::string> LocalImageStore::load_file(const std::string& path) {
    const base::UniqueFd file = base::open_file(path, O_RDONLY);
    std::vector<std::string> names;
    base::with_context("load " + path, [&] {
        for (const LoadedImage& image : load(descriptor_source(file.get(), path)))
            for (const std::string& name : image.references)
                names.push_back(require_reference(name).familiar());
    });
    return names;
}

std::shared_ptr<const std::string> LocalImageStore::scratch_directory() {
    auto directory = std::make_shared<base::TempDir>("scratch", impl_->incoming());
    return {directory, &directory->path()};
}

} // namespace engine
