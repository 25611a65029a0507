// Repository::pull: one commit by its checksum, never a ref. What a server sends under that name either has that
// digest or is refused, object by object.
#include <sys/mman.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>

#include "base/files.hpp"
#include "base/scope_exit.hpp"
#include "repository.hpp"

namespace updater {

namespace {

constexpr const char* remote_name = "atoll";

constexpr std::uint64_t least_bytes_per_second = 1000;
constexpr std::size_t maps_limit = 1024 * 1024;
constexpr const char* never_used_url = "http://atoll.invalid";

std::string remote_option(OstreeRepo* repo, const char* key) {
    Failure ignored; // a remote that is not there has no options
    char* value = nullptr;
    if (!ostree_repo_get_remote_option(repo, remote_name, key, nullptr, &value, ignored))
        return {};
    const GString owner(value);
    return owner ? owner.get() : "";
}

// libostree wants a remote in the repository's configuration; the URL in it is never used, the authorities and the
// proxy are. GPG is off: the signatures that count are checked by us before content is asked for.
void ensure_remote(OstreeRepo* repo, const Remote& remote) {
    if (remote_option(repo, "url") == never_used_url && remote_option(repo, "tls-ca-path") == remote.ca &&
        remote_option(repo, "proxy") == remote.proxy)
        return;
    GVariantBuilder options;
    g_variant_builder_init(&options, G_VARIANT_TYPE("a{sv}"));
    g_variant_builder_add(&options, "{sv}", "gpg-verify", g_variant_new_boolean(FALSE));
    g_variant_builder_add(&options, "{sv}", "gpg-verify-summary", g_variant_new_boolean(FALSE));
    if (!remote.ca.empty())
        g_variant_builder_add(&options, "{sv}", "tls-ca-path", g_variant_new_string(remote.ca.c_str()));
    if (!remote.proxy.empty())
        g_variant_builder_add(&options, "{sv}", "proxy", g_variant_new_string(remote.proxy.c_str()));
    const GVariantOwner owner(g_variant_ref_sink(g_variant_builder_end(&options)));
    for (const OstreeRepoRemoteChange change :
         {OSTREE_REPO_REMOTE_CHANGE_DELETE_IF_EXISTS, OSTREE_REPO_REMOTE_CHANGE_ADD}) {
        Failure failure;
        if (!ostree_repo_remote_change(repo, nullptr, change, remote_name, never_used_url, owner.get(), nullptr,
                                       failure))
            failure.raise("set the remote in the repository's configuration");
    }
}

struct Watcher {
    const std::function<void(const TransferProgress&)>& report;
    std::uint64_t max_objects;
    GCancellable* cancel;
    std::chrono::seconds stall;
    TransferProgress last;
    bool stalled = false;
    TransferProgress window_start; ///< since then too little has come
    std::chrono::steady_clock::time_point window_since = std::chrono::steady_clock::now();
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
    if (now.requested > watcher.max_objects)
        g_cancellable_cancel(watcher.cancel);
    // An exception must not pass through GLib's frames; a report that cannot be written is not a reason to stop.
    try {
        watcher.report(now);
    } catch (const std::exception&) {
        return;
    }
}

/// libostree 2022.7 waits for a request that is under way also when it is cancelled: its connection has to end. In this
/// process nobody else has one.
void cut_connections() noexcept {
    std::error_code error;
    for (const auto& item : std::filesystem::directory_iterator("/proc/self/fd", error)) {
        const int fd = std::atoi(item.path().filename().c_str()); // NOLINT: the kernel names them by number
        int domain = 0;
        socklen_t size = sizeof domain;
        if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && (domain == AF_INET || domain == AF_INET6))
            ::shutdown(fd, SHUT_RDWR);
    }
}

// libostree has no lowest speed: a server that sends a byte now and then would keep it for ever. Writing what came
// takes time too, and counts as moving on.
gboolean on_second(gpointer data) {
    auto& watcher = *static_cast<Watcher*>(data);
    const auto now = std::chrono::steady_clock::now();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - watcher.window_since);
    const bool moves = watcher.last.objects > watcher.window_start.objects ||
                       watcher.last.bytes - watcher.window_start.bytes >=
                           static_cast<std::uint64_t>(watcher.stall.count()) * least_bytes_per_second;
    if (moves) {
        watcher.window_start = watcher.last;
        watcher.window_since = now;
    } else if (seconds >= watcher.stall) {
        watcher.stalled = true;
        g_cancellable_cancel(watcher.cancel);
    }
    if (watcher.stalled) // every second: it tries again by itself
        cut_connections();
    return G_SOURCE_CONTINUE;
}

GVariantOwner pull_options(const std::string& url, const std::string& checksum) {
    const std::array<const char*, 2> refs{checksum.c_str(), nullptr};
    GVariantBuilder options;
    g_variant_builder_init(&options, G_VARIANT_TYPE("a{sv}"));
    g_variant_builder_add(&options, "{sv}", "refs", g_variant_new_strv(refs.data(), 1));
    g_variant_builder_add(&options, "{sv}", "override-url", g_variant_new_string(url.c_str()));
    g_variant_builder_add(&options, "{sv}", "flags", g_variant_new_int32(OSTREE_REPO_PULL_FLAGS_UNTRUSTED));
    g_variant_builder_add(&options, "{sv}", "depth", g_variant_new_int32(0));
    g_variant_builder_add(&options, "{sv}", "disable-static-deltas", g_variant_new_boolean(TRUE));
    g_variant_builder_add(&options, "{sv}", "n-network-retries", g_variant_new_uint32(3));
    g_variant_builder_add(&options, "{sv}", "update-frequency", g_variant_new_uint32(250));
    return GVariantOwner(g_variant_ref_sink(g_variant_builder_end(&options)));
}

/// Lets the kernel take the pages of code back that are mapped here: what is used again comes from the page cache.
/// Setting up, TLS and parsing touched far more of it than is needed to apply a delta, whose old file, new file and
/// difference are in memory at the same time.
void forget_code_pages() {
    std::string maps = base::read_file("/proc/self/maps", maps_limit);
    for (std::string_view rest = maps; !rest.empty();) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        const std::string line(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
        unsigned long from = 0;
        unsigned long to = 0;
        std::array<char, 5> access{};
        if (std::sscanf(line.c_str(), "%lx-%lx %4s", &from, &to, access.data()) == 3 &&
            std::string_view(access.data()) == "r-xp" && line.find(".so") != std::string::npos)
            ::madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED); // NOLINT: what the kernel says of us
    }
}

} // namespace

void Repository::pull(const Remote& remote, const std::string& checksum, std::uint64_t max_objects,
                      const std::function<void(const TransferProgress&)>& progress) {
    ensure_remote(get(), remote);
    // A context of our own: libostree iterates the thread's default one.
    GMainContext* context = g_main_context_new();
    g_main_context_push_thread_default(context);
    const base::ScopeExit pop([context] {
        g_main_context_pop_thread_default(context);
        g_main_context_unref(context);
    });
    const GOwner<GCancellable> cancel(g_cancellable_new());
    Watcher watcher{progress, max_objects, cancel.get(), remote.stall, {}};
    GSource* seconds = g_timeout_source_new_seconds(1);
    g_source_set_callback(seconds, on_second, &watcher, nullptr);
    g_source_attach(seconds, context);
    const base::ScopeExit stop([seconds] {
        g_source_destroy(seconds);
        g_source_unref(seconds);
    });
    const GOwner<OstreeAsyncProgress> async(ostree_async_progress_new());
    g_signal_connect(async.get(), "changed", G_CALLBACK(on_changed), &watcher);
    Failure failure;
    const bool done = ostree_repo_pull_with_options(get(), remote_name, pull_options(remote.url, checksum).get(),
                                                    async.get(), cancel.get(), failure);
    ostree_async_progress_finish(async.get());
    if (watcher.stalled)
        throw base::Error(fmt::format("While fetching {}: less than {} bytes a second came for {} s", remote.url,
                                      least_bytes_per_second, remote.stall.count()));
    if (g_cancellable_is_cancelled(cancel.get()))
        throw base::Error(fmt::format("commit {}: has more objects than the {} it tells", checksum, max_objects));
    if (!done)
        failure.raise(fmt::format("fetch commit {} from {}", checksum, remote.url));
}

void Repository::apply_delta(const std::string& directory) {
    forget_code_pages();
    Failure failure;
    if (!ostree_repo_prepare_transaction(get(), nullptr, nullptr, failure))
        failure.raise("begin a transaction");
    base::ScopeExit abort([this] {
        Failure ignored;
        ostree_repo_abort_transaction(get(), nullptr, ignored);
    });
    const GOwner<GFile> path(g_file_new_for_path(directory.c_str()));
    Failure applying;
    if (!ostree_repo_static_delta_execute_offline(get(), path.get(), FALSE, nullptr, applying))
        applying.raise("apply the static delta");
    Failure committing;
    if (!ostree_repo_commit_transaction(get(), nullptr, nullptr, committing))
        committing.raise("commit the static delta's objects");
    abort.dismiss();
}

} // namespace updater
