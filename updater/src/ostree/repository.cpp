#include "repository.hpp"

#include <sys/stat.h>

#include <set>

#include "base/files.hpp"
#include "base/sha256.hpp"
#include "updater/trust.hpp"

namespace updater {

namespace {

struct GVariantIterator {
    GVariantIter iter{};
    explicit GVariantIterator(GVariant* container) { g_variant_iter_init(&iter, container); }
    GVariantOwner next() { return GVariantOwner(g_variant_iter_next_value(&iter)); }
};

GVariantOwner variant_of(const GVariantType* type, std::string_view bytes) {
    const std::unique_ptr<GBytes, GBytesUnref> copy(g_bytes_new(bytes.data(), bytes.size()));
    return GVariantOwner(g_variant_ref_sink(g_variant_new_from_bytes(type, copy.get(), FALSE)));
}

std::string_view bytes_of(GVariant* variant) {
    return {static_cast<const char*>(g_variant_get_data(variant)), g_variant_get_size(variant)};
}

GHashTableOwner objects_of(OstreeRepo* repo, const std::string& checksum) {
    Failure failure;
    GHashTable* reachable = nullptr;
    if (!ostree_repo_traverse_commit(repo, checksum.c_str(), 0, &reachable, nullptr, failure))
        failure.raise("walk commit " + checksum);
    return GHashTableOwner(reachable);
}

/// Of one object. Sums of them stay far below 2^64.
constexpr std::uint64_t max_announced = std::uint64_t{4} << 30;

/// The sizes that the commit carries; it has to.
GPtrArrayOwner sizes_of(OstreeRepo* repo, const std::string& checksum) {
    Failure failure;
    GVariant* raw = nullptr;
    if (!ostree_repo_load_variant(repo, OSTREE_OBJECT_TYPE_COMMIT, checksum.c_str(), &raw, failure))
        failure.raise("read commit " + checksum);
    const GVariantOwner commit(raw);
    GPtrArray* entries = nullptr;
    if (!ostree_commit_get_object_sizes(commit.get(), &entries, failure)) {
        if (failure.matches(G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
            throw base::Error("commit " + checksum + ": does not say how large its objects are (ostree.sizes)");
        failure.raise("sizes of commit " + checksum);
    }
    return GPtrArrayOwner(entries);
}

/// mkimage takes such bits away; whoever brings them in means harm, or has signed another tree than he thinks.
void require_no_privilege(OstreeRepo* repo, const char* name) {
    Failure failure;
    GFileInfo* info = nullptr;
    GVariant* attributes = nullptr;
    if (!ostree_repo_load_file(repo, name, nullptr, &info, &attributes, nullptr, failure))
        failure.raise(std::string("read object ") + name);
    const GOwner<GFileInfo> info_owner(info);
    const GVariantOwner attributes_owner(attributes);
    const guint32 mode = g_file_info_get_attribute_uint32(info, "unix::mode");
    if (S_ISREG(mode) && (mode & (S_ISUID | S_ISGID)) != 0)
        throw base::Error(fmt::format("object {}: a setuid or setgid file (mode {:o})", name, mode & 07777U));
    for (GVariantIterator items(attributes); const GVariantOwner item = items.next();) {
        const char* key = nullptr;
        g_variant_get_child(item.get(), 0, "^&ay", &key);
        if (std::string_view(key) == "security.capability")
            throw base::Error(fmt::format("object {}: a file with capabilities", name));
    }
}

} // namespace

bool Repository::has_commit(const std::string& checksum) const {
    Failure failure;
    gboolean there = FALSE;
    if (!ostree_repo_has_object(get(), OSTREE_OBJECT_TYPE_COMMIT, checksum.c_str(), &there, nullptr, failure))
        failure.raise("look for commit " + checksum);
    return there != FALSE;
}

CommitInfo parse_commit(const std::string& checksum, std::string bytes) {
    // The name is the digest of the bytes: what is verified is what will be deployed.
    if (base::sha256_hex(bytes) != checksum)
        throw base::Error("commit " + checksum + ": the object does not match its name");
    CommitInfo info;
    info.checksum = checksum;
    info.bytes = std::move(bytes);
    const GVariantOwner commit = variant_of(OSTREE_COMMIT_GVARIANT_FORMAT, info.bytes);
    if (!g_variant_is_normal_form(commit.get()))
        throw base::Error("commit " + checksum + ": not in normal form");
    info.timestamp = static_cast<std::int64_t>(ostree_commit_get_timestamp(commit.get()));
    const GVariantOwner metadata(g_variant_get_child_value(commit.get(), 0));
    const char* version = nullptr;
    if (g_variant_lookup(metadata.get(), OSTREE_COMMIT_META_KEY_VERSION, "&s", &version))
        info.version = version;
    const GVariantOwner binding(
        g_variant_lookup_value(metadata.get(), OSTREE_COMMIT_META_KEY_REF_BINDING, G_VARIANT_TYPE("as")));
    if (binding) {
        for (GVariantIterator names(binding.get()); const GVariantOwner name = names.next();)
            info.refs.emplace_back(g_variant_get_string(name.get(), nullptr));
    }
    return info;
}

std::vector<std::string> parse_signatures(const std::string& checksum, std::string_view detached_metadata) {
    const GVariantOwner metadata = variant_of(G_VARIANT_TYPE("a{sv}"), detached_metadata);
    if (!g_variant_is_normal_form(metadata.get()))
        throw base::Error("signatures of commit " + checksum + ": not in normal form");
    std::vector<std::string> signatures;
    const GVariantOwner list(g_variant_lookup_value(metadata.get(), signature_metadata_key, G_VARIANT_TYPE("aay")));
    if (!list)
        return signatures;
    for (GVariantIterator items(list.get()); const GVariantOwner item = items.next();) {
        gsize size = 0;
        const void* data = g_variant_get_fixed_array(item.get(), &size, 1);
        signatures.emplace_back(static_cast<const char*>(data), size);
    }
    return signatures;
}

CommitInfo Repository::read_commit(const std::string& checksum) const {
    Failure failure;
    GVariant* raw = nullptr;
    if (!ostree_repo_load_variant(get(), OSTREE_OBJECT_TYPE_COMMIT, checksum.c_str(), &raw, failure))
        failure.raise("read commit " + checksum);
    const GVariantOwner commit(raw);
    return parse_commit(checksum, std::string(bytes_of(commit.get())));
}

std::vector<std::string> Repository::signatures(const std::string& checksum) const {
    Failure failure;
    GVariant* raw = nullptr;
    if (!ostree_repo_read_commit_detached_metadata(get(), checksum.c_str(), &raw, nullptr, failure))
        failure.raise("read signatures of commit " + checksum);
    const GVariantOwner as_read(raw);
    // libostree reads the file as trusted data, yet no digest covers it: look at it again as what it is.
    return raw == nullptr ? std::vector<std::string>() : parse_signatures(checksum, bytes_of(raw));
}

// libostree syncs objects at the end of a transaction only: written outside of one, a power cut leaves an empty file
// with the object's name, which libostree would then take for the object and never replace. So it is written here, in
// full before it has its name, and over one that is damaged.
static void write_commit_object(OstreeRepo* repo, const CommitInfo& commit) {
    const std::string folder =
        std::string(g_file_peek_path(ostree_repo_get_path(repo))) + "/objects/" + commit.checksum.substr(0, 2);
    base::make_directories(folder);
    const std::string file = folder + "/" + commit.checksum.substr(2) + ".commit";
    base::remove_write_leftovers(file);
    base::write_durable(file, commit.bytes);
}

void Repository::write_partial_commit(const CommitInfo& commit, const std::string& detached_metadata) {
    Failure marking;
    if (!ostree_repo_mark_commit_partial(get(), commit.checksum.c_str(), TRUE, marking))
        marking.raise("mark commit " + commit.checksum);
    write_commit_object(get(), commit);
    const GVariantOwner detached = variant_of(G_VARIANT_TYPE("a{sv}"), detached_metadata);
    Failure signing;
    if (!ostree_repo_write_commit_detached_metadata(get(), commit.checksum.c_str(), detached.get(), nullptr, signing))
        signing.raise("write signatures of commit " + commit.checksum);
}

MissingContent Repository::missing_content(const std::string& checksum) const {
    const GPtrArrayOwner owner = sizes_of(get(), checksum);
    const GPtrArray* entries = owner.get();
    MissingContent missing;
    for (guint index = 0; index < entries->len; ++index) {
        const auto* entry = static_cast<const OstreeCommitSizesEntry*>(g_ptr_array_index(entries, index));
        Failure lookup;
        gboolean there = FALSE;
        if (!ostree_repo_has_object(get(), entry->objtype, entry->checksum, &there, nullptr, lookup))
            lookup.raise(std::string("look for object ") + entry->checksum);
        if (there)
            continue;
        if (entry->archived > max_announced || entry->unpacked > max_announced)
            throw base::Error(fmt::format("commit {}: object {} is announced to be larger than {} bytes", checksum,
                                          entry->checksum, max_announced));
        ++missing.objects;
        missing.download_bytes += entry->archived;
        missing.disk_bytes += entry->unpacked;
        missing.largest_object = std::max<std::uint64_t>({missing.largest_object, entry->archived, entry->unpacked});
    }
    return missing;
}

void Repository::forget_commit(const std::string& checksum) noexcept {
    Failure failure;
    ostree_repo_delete_object(get(), OSTREE_OBJECT_TYPE_COMMIT, checksum.c_str(), nullptr, failure);
    Failure partial;
    ostree_repo_mark_commit_partial(get(), checksum.c_str(), FALSE, partial);
}

std::uint64_t Repository::check_objects(const std::string& checksum, const std::string& known,
                                        const std::function<void(std::uint64_t, std::uint64_t)>& progress) const {
    const GHashTableOwner wanted = objects_of(get(), checksum);
    if (!known.empty() && known != checksum) {
        const GHashTableOwner have = objects_of(get(), known);
        GHashTableIter iter;
        gpointer key = nullptr;
        g_hash_table_iter_init(&iter, have.get());
        while (g_hash_table_iter_next(&iter, &key, nullptr))
            g_hash_table_remove(wanted.get(), key);
    }
    std::set<std::string, std::less<>> listed{checksum};
    const GPtrArrayOwner sizes = sizes_of(get(), checksum);
    for (guint index = 0; index < sizes->len; ++index)
        listed.emplace(static_cast<const OstreeCommitSizesEntry*>(g_ptr_array_index(sizes.get(), index))->checksum);
    const std::uint64_t total = g_hash_table_size(wanted.get());
    std::uint64_t done = 0;
    GHashTableIter iter;
    gpointer key = nullptr;
    g_hash_table_iter_init(&iter, wanted.get());
    while (g_hash_table_iter_next(&iter, &key, nullptr)) {
        const char* name = nullptr;
        OstreeObjectType type{};
        ostree_object_name_deserialize(static_cast<GVariant*>(key), &name, &type);
        Failure failure;
        if (!ostree_repo_fsck_object(get(), type, name, nullptr, failure)) {
            // A damaged object left in place would be taken for a good one by the next pull.
            Failure ignored;
            ostree_repo_delete_object(get(), type, name, nullptr, ignored);
            failure.raise(std::string("check object ") + name);
        }
        if (listed.find(std::string_view(name)) == listed.end())
            throw base::Error(
                fmt::format("commit {}: object {} is not among those whose sizes it tells", checksum, name));
        if (type == OSTREE_OBJECT_TYPE_FILE)
            require_no_privilege(get(), name);
        if (++done % 64 == 0)
            progress(done, total);
    }
    progress(done, total);
    return total;
}

GOwner<GFile> Repository::open_path(const std::string& checksum, const std::string& path) const {
    Failure failure;
    GFile* root = nullptr;
    if (!ostree_repo_read_commit(get(), checksum.c_str(), &root, nullptr, nullptr, failure))
        failure.raise("open commit " + checksum);
    GOwner<GFile> owner(root);
    if (path.empty())
        return owner;
    return GOwner<GFile>(g_file_resolve_relative_path(root, path.c_str()));
}

std::optional<std::string> Repository::read_file(const std::string& checksum, const std::string& path,
                                                 std::size_t limit) const {
    const GOwner<GFile> file = open_path(checksum, path);
    Failure failure;
    const GOwner<GFileInputStream> stream(g_file_read(file.get(), nullptr, failure));
    if (!stream) {
        if (failure.matches(G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
            return std::nullopt;
        failure.raise("read " + path + " of commit " + checksum);
    }
    std::string content(limit + 1, '\0');
    gsize size = 0;
    Failure reading;
    if (!g_input_stream_read_all(G_INPUT_STREAM(stream.get()), content.data(), content.size(), &size, nullptr, reading))
        reading.raise("read " + path + " of commit " + checksum);
    if (size > limit)
        throw base::Error(EFBIG, "read " + path + " of commit " + checksum);
    content.resize(size);
    return content;
}

std::vector<Repository::Entry> Repository::list_directory(const std::string& checksum, const std::string& path) const {
    const GOwner<GFile> directory = open_path(checksum, path);
    Failure failure;
    const GOwner<GFileEnumerator> entries(
        g_file_enumerate_children(directory.get(), "standard::name,standard::type,standard::size",
                                  G_FILE_QUERY_INFO_NOFOLLOW_SYMLINKS, nullptr, failure));
    std::vector<Entry> result;
    if (!entries) {
        if (failure.matches(G_IO_ERROR, G_IO_ERROR_NOT_FOUND) || failure.matches(G_IO_ERROR, G_IO_ERROR_NOT_DIRECTORY))
            return result;
        failure.raise("list " + path + " of commit " + checksum);
    }
    for (;;) {
        Failure next;
        const GOwner<GFileInfo> info(g_file_enumerator_next_file(entries.get(), nullptr, next));
        if (!info) {
            if (*static_cast<GError**>(next) != nullptr)
                next.raise("list " + path + " of commit " + checksum);
            return result;
        }
        const GOwner<GFile> child(g_file_get_child(directory.get(), g_file_info_get_name(info.get())));
        const bool is_directory = g_file_info_get_file_type(info.get()) == G_FILE_TYPE_DIRECTORY;
        const char* digest =
            is_directory ? nullptr : ostree_repo_file_get_checksum(OSTREE_REPO_FILE(static_cast<void*>(child.get())));
        result.push_back({g_file_info_get_name(info.get()), digest != nullptr ? digest : "",
                          static_cast<std::uint64_t>(g_file_info_get_size(info.get())), is_directory});
    }
}

void Repository::set_ref(const std::string& ref, const std::string& checksum) {
    Failure failure;
    if (!ostree_repo_set_ref_immediate(get(), nullptr, ref.c_str(), checksum.empty() ? nullptr : checksum.c_str(),
                                       nullptr, failure))
        failure.raise("set ref " + ref);
}

} // namespace updater
