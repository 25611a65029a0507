#include "image/repository.hpp"

#include <fcntl.h>

#include <filesystem>

#include <ostree.h>

#include "base/error.hpp"
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

std::string write_tree(OstreeRepo* repo, const CommitRequest& request) {
    const GObjectPtr<OstreeMutableTree> tree(ostree_mutable_tree_new());
    const std::unique_ptr<OstreeRepoCommitModifier, ModifierUnref> modifier(
        ostree_repo_commit_modifier_new(OSTREE_REPO_COMMIT_MODIFIER_FLAGS_SKIP_XATTRS, own_by_root, nullptr, nullptr));
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

void sign_commit(OstreeRepo* repo, const std::string& commit, const std::vector<SigningKey>& keys) {
    GErrorGuard error("sign " + commit);
    GVariantPtr metadata;
    if (!keys.empty()) {
        GVariant* object = nullptr;
        error.check(ostree_repo_load_variant(repo, OSTREE_OBJECT_TYPE_COMMIT, commit.c_str(), &object, error.out()));
        const GVariantPtr owner(object);
        const std::string_view bytes(static_cast<const char*>(g_variant_get_data(object)), g_variant_get_size(object));
        GVariantBuilder signatures;
        g_variant_builder_init(&signatures, G_VARIANT_TYPE("aay"));
        for (const SigningKey& key : keys) {
            const std::string signature = key.sign(bytes);
            g_variant_builder_add_value(
                &signatures, g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, signature.data(), signature.size(), 1));
        }
        GVariantDict dictionary;
        g_variant_dict_init(&dictionary, nullptr);
        g_variant_dict_insert_value(&dictionary, "ostree.sign.ed25519", g_variant_builder_end(&signatures));
        metadata.reset(g_variant_ref_sink(g_variant_dict_end(&dictionary)));
    }
    error.check(ostree_repo_write_commit_detached_metadata(repo, commit.c_str(), metadata.get(), nullptr, error.out()));
}

} // namespace image
