#include "image/repository.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include <ostree.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/sha256.hpp"
#include "glib.hpp"
#include "sign_commit.hpp"

namespace image {
namespace {

GObjectPtr<GFile> file_for(const std::string& path) {
    return GObjectPtr<GFile>(g_file_new_for_path(path.c_str()));
}

struct ModifierUnref {
    void operator()(OstreeRepoCommitModifier* modifier) const noexcept { ostree_repo_commit_modifier_unref(modifier); }
};

OstreeRepoCommitFilterResult own_by_root(OstreeRepo* /*repo*/, const char* /*path*/, GFileInfo* info,
                                         gpointer /*data*/) {
    g_file_info_set_attribute_uint32(info, "unix::uid", 0);
    g_file_info_set_attribute_uint32(info, "unix::gid", 0);
    return OSTREE_REPO_COMMIT_FILTER_ALLOW;
}

GVariant* commit_metadata(const CommitRequest& request) {
    GVariantDict metadata;
    g_variant_dict_init(&metadata, nullptr);
    g_variant_dict_insert(&metadata, "version", "s", request.version.c_str());
    g_variant_dict_insert(&metadata, "atoll.name", "s", request.name.c_str());
    g_variant_dict_insert(&metadata, OSTREE_METADATA_KEY_BOOTABLE, "b", TRUE);
    // A commit that says which ref it belongs to cannot be offered under another one.
    const char* refs[] = {request.ref.c_str(), nullptr};
    g_variant_dict_insert_value(&metadata, OSTREE_COMMIT_META_KEY_REF_BINDING, g_variant_new_strv(refs, 1));
    return g_variant_ref_sink(g_variant_dict_end(&metadata));
}

constexpr unsigned delta_chunk_mebibytes = 4;
constexpr unsigned delta_bsdiff_mebibytes = 32; // of old and new file together

/// libostree's name for it: base64 with '_' for '/', its first two characters a directory.
std::string delta_directory(const std::string& from, const std::string& to) {
    const auto name = [](const std::string& checksum) {
        std::array<guchar, OSTREE_SHA256_DIGEST_LEN> bytes{};
        ostree_checksum_inplace_to_bytes(checksum.c_str(), bytes.data());
        return std::string(GString_(ostree_checksum_b64_from_bytes(bytes.data())).get());
    };
    const std::string start = name(from);
    return "deltas/" + start.substr(0, 2) + "/" + start.substr(2) + "-" + name(to);
}

std::string write_tree(OstreeRepo* repo, const CommitRequest& request) {
    const GObjectPtr<OstreeMutableTree> tree(ostree_mutable_tree_new());
    const std::unique_ptr<OstreeRepoCommitModifier, ModifierUnref> modifier(ostree_repo_commit_modifier_new(
        static_cast<OstreeRepoCommitModifierFlags>(OSTREE_REPO_COMMIT_MODIFIER_FLAGS_SKIP_XATTRS |
                                                   // The updater bounds and measures a download by them.
                                                   OSTREE_REPO_COMMIT_MODIFIER_FLAGS_GENERATE_SIZES),
        own_by_root, nullptr, nullptr));
    GErrorGuard error("commit " + request.tree);
    error.check(ostree_repo_write_dfd_to_mtree(repo, AT_FDCWD, request.tree.c_str(), tree.get(), modifier.get(),
                                               nullptr, error.out()));
    GFile* root_out = nullptr;
    error.check(ostree_repo_write_mtree(repo, tree.get(), &root_out, nullptr, error.out()));
    const GObjectPtr<GFile> root(root_out);
    const GVariantPtr metadata(commit_metadata(request));
    const std::string subject = request.name + " " + request.version;
    char* commit_out = nullptr;
    error.check(ostree_repo_write_commit_with_time(
        repo, nullptr, subject.c_str(), nullptr, metadata.get(), OSTREE_REPO_FILE(root.get()),
        static_cast<guint64>(request.timestamp), &commit_out, nullptr, error.out()));
    return GString_(commit_out).get();
}

} // namespace

struct Repository::State {
    GObjectPtr<OstreeRepo> repo;
};

Repository::Repository(std::string path, std::unique_ptr<State> state)
    : path_(std::move(path)), state_(std::move(state)) {}
Repository::~Repository() = default;
Repository::Repository(Repository&&) noexcept = default;

Repository Repository::open_or_create(const std::string& path) {
    auto state = std::make_unique<State>();
    const GObjectPtr<GFile> file = file_for(path);
    state->repo.reset(ostree_repo_new(file.get()));
    GErrorGuard error("repository " + path);
    if (std::filesystem::exists(path + "/config")) {
        error.check(ostree_repo_open(state->repo.get(), nullptr, error.out()));
        if (ostree_repo_get_mode(state->repo.get()) != OSTREE_REPO_MODE_ARCHIVE)
            throw base::Error("repository " + path + ": not in archive mode");
    } else {
        error.check(ostree_repo_create(state->repo.get(), OSTREE_REPO_MODE_ARCHIVE, nullptr, error.out()));
    }
    // What is made here can be made again; syncing each object would double the time.
    ostree_repo_set_disable_fsync(state->repo.get(), TRUE);
    return {path, std::move(state)};
}

std::string Repository::commit(const CommitRequest& request) {
    OstreeRepo* repo = state_->repo.get();
    GErrorGuard error("repository " + path_);
    error.check(ostree_repo_prepare_transaction(repo, nullptr, nullptr, error.out()));
    try {
        std::string commit = write_tree(repo, request);
        error.check(ostree_repo_commit_transaction(repo, nullptr, nullptr, error.out()));
        return commit;
    } catch (...) {
        ostree_repo_abort_transaction(repo, nullptr, nullptr);
        throw;
    }
}

void Repository::pull(const std::string& source, const std::string& commit) {
    pull_local(state_->repo.get(), source, commit);
}

void Repository::sign(const std::string& commit, const std::vector<SigningKey>& keys) {
    sign_commit(state_->repo.get(), commit, keys);
}

bool Repository::has_commit(const std::string& commit) const {
    GErrorGuard error("repository " + path_);
    gboolean there = FALSE;
    error.check(ostree_repo_has_object(state_->repo.get(), OSTREE_OBJECT_TYPE_COMMIT, commit.c_str(), &there, nullptr,
                                       error.out()));
    return there != FALSE;
}

Repository::CommitDescription Repository::describe(const std::string& commit) const {
    GErrorGuard error("repository " + path_);
    GVariant* object = nullptr;
    error.check(
        ostree_repo_load_variant(state_->repo.get(), OSTREE_OBJECT_TYPE_COMMIT, commit.c_str(), &object, error.out()));
    const GVariantPtr owner(object);
    const GVariantPtr metadata(g_variant_get_child_value(object, 0));
    const char* version = nullptr;
    if (g_variant_lookup(metadata.get(), "version", "&s", &version) == FALSE)
        throw base::Error(path_ + ": commit " + commit + " has no version");
    return {version, static_cast<std::int64_t>(ostree_commit_get_timestamp(object))};
}

std::string Repository::resolve(const std::string& ref) const {
    GErrorGuard error("repository " + path_);
    char* commit = nullptr;
    error.check(ostree_repo_resolve_rev(state_->repo.get(), ref.c_str(), FALSE, &commit, error.out()));
    return GString_(commit).get();
}

std::size_t Repository::keep_deltas(const std::vector<DeltaFile>& listed) {
    std::set<std::string> kept;
    for (const DeltaFile& delta : listed)
        kept.insert(delta_directory(delta.from, delta.to));
    namespace fs = std::filesystem;
    std::vector<std::string> removed;
    const std::string top = path_ + "/deltas";
    if (!fs::is_directory(top))
        return 0;
    for (const fs::directory_entry& group : fs::directory_iterator(top)) {
        for (const fs::directory_entry& delta : fs::directory_iterator(group.path())) {
            const std::string name =
                "deltas/" + group.path().filename().string() + "/" + delta.path().filename().string();
            if (!kept.contains(name))
                removed.push_back(name);
        }
    }
    for (const std::string& name : removed)
        base::remove_tree(path_ + "/" + name);
    return removed.size();
}

std::uint64_t Repository::largest_new_object(const std::string& from, const std::string& to) const {
    std::set<std::string> old;
    std::uint64_t largest = 0;
    for (const std::string& commit : {from, to}) {
        GErrorGuard error("sizes of " + commit);
        GVariant* object = nullptr;
        error.check(ostree_repo_load_variant(state_->repo.get(), OSTREE_OBJECT_TYPE_COMMIT, commit.c_str(), &object,
                                             error.out()));
        const GVariantPtr owner(object);
        GPtrArray* entries = nullptr;
        error.check(ostree_commit_get_object_sizes(object, &entries, error.out()));
        for (guint index = 0; index < entries->len; ++index) {
            const auto* entry = static_cast<const OstreeCommitSizesEntry*>(g_ptr_array_index(entries, index));
            if (commit == from)
                old.emplace(entry->checksum);
            else if (old.find(entry->checksum) == old.end())
                largest = std::max<std::uint64_t>(largest, entry->unpacked);
        }
        g_ptr_array_unref(entries);
    }
    return largest;
}

DeltaFile Repository::make_delta(const std::string& from, const std::string& to) {
    GVariantDict options;
    g_variant_dict_init(&options, nullptr);
    // No fallback objects, which would be fetched one by one; parts that a host unpacks in little memory.
    g_variant_dict_insert(&options, "min-fallback-size", "u", 0);
    g_variant_dict_insert(&options, "max-chunk-size", "u", delta_chunk_mebibytes);
    g_variant_dict_insert(&options, "max-bsdiff-size", "u", delta_bsdiff_mebibytes);
    const GVariantPtr all(g_variant_ref_sink(g_variant_dict_end(&options)));
    GErrorGuard error("static delta from " + from + " to " + to);
    error.check(ostree_repo_static_delta_generate(state_->repo.get(), OSTREE_STATIC_DELTA_GENERATE_OPT_MAJOR,
                                                  from.c_str(), to.c_str(), nullptr, all.get(), nullptr, error.out()));
    const std::string directory = path_ + "/" + delta_directory(from, to);
    DeltaFile delta{.from = from, .to = to, .size = 0, .superblock_size = 0, .sha256 = {}};
    for (const std::filesystem::directory_entry& file : std::filesystem::directory_iterator(directory))
        delta.size += file.file_size();
    const std::string superblock = base::read_file(directory + "/superblock");
    delta.superblock_size = superblock.size();
    delta.sha256 = base::sha256_hex(superblock);
    return delta;
}

void Repository::set_ref(const std::string& ref, const std::string& commit) {
    GErrorGuard error("repository " + path_ + ": ref " + ref);
    error.check(
        ostree_repo_set_ref_immediate(state_->repo.get(), nullptr, ref.c_str(), commit.c_str(), nullptr, error.out()));
}

void Repository::update_summary() {
    GErrorGuard error("repository " + path_ + ": summary");
    error.check(ostree_repo_regenerate_summary(state_->repo.get(), nullptr, nullptr, error.out()));
}

void pull_local(OstreeRepo* repo, const std::string& source, const std::string& commit) {
    const GObjectPtr<GFile> file = file_for(source);
    const GString_ uri(g_file_get_uri(file.get()));
    const char* refs[] = {commit.c_str(), nullptr};
    GVariantDict options;
    g_variant_dict_init(&options, nullptr);
    g_variant_dict_insert_value(&options, "refs", g_variant_new_strv(refs, 1));
    const GVariantPtr all(g_variant_ref_sink(g_variant_dict_end(&options)));
    GErrorGuard error("pull " + commit + " from " + source);
    error.check(ostree_repo_pull_with_options(repo, uri.get(), all.get(), nullptr, nullptr, error.out()));
}

namespace {

constexpr const char* signature_key = "ostree.sign.ed25519";

std::vector<std::string> signatures_of(OstreeRepo* repo, const std::string& commit) {
    GErrorGuard error("signatures of " + commit);
    GVariant* metadata = nullptr;
    error.check(ostree_repo_read_commit_detached_metadata(repo, commit.c_str(), &metadata, nullptr, error.out()));
    std::vector<std::string> signatures;
    if (metadata == nullptr)
        return signatures;
    const GVariantPtr owner(metadata);
    const GVariantPtr list(g_variant_lookup_value(metadata, signature_key, G_VARIANT_TYPE("aay")));
    for (gsize index = 0; list && index < g_variant_n_children(list.get()); ++index) {
        const GVariantPtr one(g_variant_get_child_value(list.get(), index));
        signatures.emplace_back(static_cast<const char*>(g_variant_get_data(one.get())), g_variant_get_size(one.get()));
    }
    return signatures;
}

void write_signatures(OstreeRepo* repo, const std::string& commit, const std::vector<std::string>& signatures) {
    GVariantPtr metadata;
    if (!signatures.empty()) {
        GVariantBuilder list;
        g_variant_builder_init(&list, G_VARIANT_TYPE("aay"));
        for (const std::string& signature : signatures)
            g_variant_builder_add_value(
                &list, g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, signature.data(), signature.size(), 1));
        GVariantDict dictionary;
        g_variant_dict_init(&dictionary, nullptr);
        g_variant_dict_insert_value(&dictionary, signature_key, g_variant_builder_end(&list));
        metadata.reset(g_variant_ref_sink(g_variant_dict_end(&dictionary)));
    }
    GErrorGuard error("sign " + commit);
    error.check(ostree_repo_write_commit_detached_metadata(repo, commit.c_str(), metadata.get(), nullptr, error.out()));
}

std::vector<std::string> sign_object(OstreeRepo* repo, const std::string& commit, const std::vector<SigningKey>& keys) {
    GErrorGuard error("sign " + commit);
    GVariant* object = nullptr;
    error.check(ostree_repo_load_variant(repo, OSTREE_OBJECT_TYPE_COMMIT, commit.c_str(), &object, error.out()));
    const GVariantPtr owner(object);
    const std::string_view bytes(static_cast<const char*>(g_variant_get_data(object)), g_variant_get_size(object));
    std::vector<std::string> signatures;
    for (const SigningKey& key : keys)
        signatures.push_back(key.sign(bytes));
    return signatures;
}

} // namespace

void sign_commit(OstreeRepo* repo, const std::string& commit, const std::vector<SigningKey>& keys) {
    write_signatures(repo, commit, sign_object(repo, commit, keys));
}

void Repository::add_signatures(const std::string& commit, const std::vector<SigningKey>& keys) {
    std::vector<std::string> signatures = signatures_of(state_->repo.get(), commit);
    for (std::string& signature : sign_object(state_->repo.get(), commit, keys)) {
        if (std::find(signatures.begin(), signatures.end(), signature) == signatures.end())
            signatures.push_back(std::move(signature));
    }
    write_signatures(state_->repo.get(), commit, signatures);
}

} // namespace image
