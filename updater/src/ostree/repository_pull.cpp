// Repository::pull: one commit by its checksum, never a ref. What a server sends under that name either has that
// digest or is refused, object by object.
#include "base/scope_exit.hpp"
#include "repository.hpp"

namespace updater {

namespace {

constexpr const char* remote_name = "atoll";

// libostree wants a remote in the repository's configuration; the URL in it is never used. GPG is off: the signatures
// that count are checked by us before content is asked for.
void ensure_remote(OstreeRepo* repo) {
    GVariantBuilder options;
    g_variant_builder_init(&options, G_VARIANT_TYPE("a{sv}"));
    g_variant_builder_add(&options, "{sv}", "gpg-verify", g_variant_new_boolean(FALSE));
    g_variant_builder_add(&options, "{sv}", "gpg-verify-summary", g_variant_new_boolean(FALSE));
    const GVariantOwner owner(g_variant_ref_sink(g_variant_builder_end(&options)));
    Failure failure;
    if (!ostree_repo_remote_change(repo, nullptr, OSTREE_REPO_REMOTE_CHANGE_ADD_IF_NOT_EXISTS, remote_name,
                                   "http://atoll.invalid", owner.get(), nullptr, failure))
        failure.raise("add the remote to the repository's configuration");
}

struct Watcher {
    const std::function<void(const TransferProgress&)>& report;
    TransferProgress last;
};

void on_changed(OstreeAsyncProgress* progress, gpointer data) {
    auto& watcher = *static_cast<Watcher*>(data);
    TransferProgress now;
    now.bytes = ostree_async_progress_get_uint64(progress, "bytes-transferred");
    now.objects = ostree_async_progress_get_uint(progress, "fetched");
    now.requested = ostree_async_progress_get_uint(progress, "requested");
    if (now == watcher.last)
        return;
    watcher.last = now;
    // An exception must not pass through GLib's frames; a report that cannot be written is not a reason to stop.
    try {
        watcher.report(now);
    } catch (const std::exception&) {
        return;
    }
}

GVariantOwner pull_options(const std::string& url, const std::string& checksum, Repository::Part part) {
    const std::array<const char*, 2> refs{checksum.c_str(), nullptr};
    int flags = OSTREE_REPO_PULL_FLAGS_UNTRUSTED;
    if (part == Repository::Part::metadata)
        flags |= OSTREE_REPO_PULL_FLAGS_COMMIT_ONLY;
    GVariantBuilder options;
    g_variant_builder_init(&options, G_VARIANT_TYPE("a{sv}"));
    g_variant_builder_add(&options, "{sv}", "refs", g_variant_new_strv(refs.data(), 1));
    g_variant_builder_add(&options, "{sv}", "override-url", g_variant_new_string(url.c_str()));
    g_variant_builder_add(&options, "{sv}", "flags", g_variant_new_int32(flags));
    g_variant_builder_add(&options, "{sv}", "depth", g_variant_new_int32(0));
    g_variant_builder_add(&options, "{sv}", "disable-static-deltas", g_variant_new_boolean(TRUE));
    g_variant_builder_add(&options, "{sv}", "n-network-retries", g_variant_new_uint32(3));
    g_variant_builder_add(&options, "{sv}", "update-frequency", g_variant_new_uint32(250));
    return GVariantOwner(g_variant_ref_sink(g_variant_builder_end(&options)));
}

} // namespace

void Repository::pull(const std::string& url, const std::string& checksum, Part part,
                      const std::function<void(const TransferProgress&)>& progress) {
    ensure_remote(get());
    // A context of our own: libostree iterates the thread's default one.
    GMainContext* context = g_main_context_new();
    g_main_context_push_thread_default(context);
    const base::ScopeExit pop([context] {
        g_main_context_pop_thread_default(context);
        g_main_context_unref(context);
    });
    Watcher watcher{progress, {}};
    const GOwner<OstreeAsyncProgress> async(ostree_async_progress_new());
    g_signal_connect(async.get(), "changed", G_CALLBACK(on_changed), &watcher);
    Failure failure;
    const bool done = ostree_repo_pull_with_options(get(), remote_name, pull_options(url, checksum, part).get(),
                                                    async.get(), nullptr, failure);
    ostree_async_progress_finish(async.get());
    if (!done)
        failure.raise(fmt::format("fetch {} {} from {}", part == Part::metadata ? "metadata of commit" : "commit",
                                  checksum, url));
}

} // namespace updater
