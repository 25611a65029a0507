#include "updater/sysroot.hpp"

#include <ostree.h>
#include <sys/stat.h>

#include <thread>

#include "base/error.hpp"
#include "base/fault_point.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "factory_var.hpp"
#include "repository.hpp"
#include "sysroot_impl.hpp"
#include "updater/boot_text.hpp"

namespace updater {

namespace {

std::string origin_ref(OstreeDeployment* deployment) {
    GKeyFile* origin = ostree_deployment_get_origin(deployment);
    const GString text(origin != nullptr ? g_key_file_get_string(origin, "origin", "refspec", nullptr) : nullptr);
    return text ? text.get() : "";
}

} // namespace

std::string boot_options(OstreeDeployment* deployment) {
    OstreeBootconfigParser* config = ostree_deployment_get_bootconfig(deployment);
    const char* options = config != nullptr ? ostree_bootconfig_parser_get(config, "options") : nullptr;
    return options != nullptr ? options : "";
}

std::string revision_of(OstreeDeployment* deployment) {
    return kernel_argument(boot_options(deployment), "atoll.rev");
}

// libostree would otherwise take /boot/grub/grub.cfg for a reason to call grub-mkconfig.
void require_no_bootloader(OstreeRepo* repo) {
    const char* bootloader = ostree_repo_get_bootloader(repo);
    if (std::string_view(bootloader != nullptr ? bootloader : "") != "none")
        throw base::Error(fmt::format("sysroot.bootloader is '{}' in the repository's configuration; it has to be "
                                      "'none', as our grub.cfg reads the boot entries itself",
                                      bootloader != nullptr ? bootloader : ""));
}

std::vector<GOwner<OstreeDeployment>> Sysroot::Impl::list() const {
    const GPtrArrayOwner array(ostree_sysroot_get_deployments(sysroot.get()));
    std::vector<GOwner<OstreeDeployment>> deployments;
    for (guint index = 0; index < array->len; ++index)
        deployments.push_back(share(static_cast<OstreeDeployment*>(g_ptr_array_index(array.get(), index))));
    return deployments;
}

GOwner<OstreeDeployment> Sysroot::Impl::booted() const {
    if (OstreeDeployment* deployment = ostree_sysroot_get_booted_deployment(sysroot.get()))
        return share(deployment);
    for (GOwner<OstreeDeployment>& deployment : list()) {
        if (!booted_revision.empty() && revision_of(deployment.get()) == booted_revision)
            return std::move(deployment);
    }
    return nullptr;
}

GOwner<OstreeDeployment> Sysroot::Impl::find(const std::string& revision) const {
    for (GOwner<OstreeDeployment>& deployment : list()) {
        if (!revision.empty() && revision_of(deployment.get()) == revision)
            return std::move(deployment);
    }
    throw base::Error("no deployment with revision " + revision);
}

std::vector<OstreeDeployment*> Sysroot::Impl::kept(OstreeDeployment* newest, const std::vector<std::string>& keep,
                                                   std::size_t count) const {
    const GOwner<OstreeDeployment> running = booted();
    const std::vector<GOwner<OstreeDeployment>> old = list();
    const auto is_needed = [&](OstreeDeployment* deployment) {
        return (running && ostree_deployment_equal(deployment, running.get())) ||
               ostree_deployment_is_pinned(deployment) ||
               std::find(keep.begin(), keep.end(), revision_of(deployment)) != keep.end();
    };
    // What is needed takes its places first, and the rest are the newest of the others.
    std::size_t places = count - std::min<std::size_t>(count, newest != nullptr ? 1 : 0);
    for (const GOwner<OstreeDeployment>& deployment : old)
        places -= std::min<std::size_t>(places, is_needed(deployment.get()) ? 1 : 0);
    std::vector<OstreeDeployment*> order;
    if (newest != nullptr)
        order.push_back(newest);
    for (const GOwner<OstreeDeployment>& deployment : old) {
        if (is_needed(deployment.get()))
            order.push_back(deployment.get());
        else if (places > 0) {
            order.push_back(deployment.get());
            --places;
        }
    }
    return order;
}

// A worker that was killed may leave the lock behind for a moment: libostree forks a process that watches over its
// freeze of /boot, which has the lock's descriptor too and ends when it notices that its parent is gone.
void Sysroot::Impl::lock() const {
    const auto deadline = std::chrono::steady_clock::now() + lock_wait;
    for (;;) {
        Failure failure;
        gboolean acquired = FALSE;
        if (!ostree_sysroot_try_lock(sysroot.get(), &acquired, failure))
            failure.raise("lock the sysroot " + paths.root);
        if (acquired)
            return;
        if (std::chrono::steady_clock::now() >= deadline)
            throw base::Error(EBUSY, "another process is changing the deployments of " + paths.root);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

void Sysroot::Impl::begin_change() {
    lock();
    // Who had the lock may have changed what was read before.
    Failure failure;
    if (!ostree_sysroot_load_if_changed(sysroot.get(), nullptr, nullptr, failure))
        failure.raise("read the deployments of " + paths.root);
    thaw_boot(paths.boot);
    flush_boot(paths.boot, paths.root);
    base::fault_point("change_begins");
}

// The crash-safe order, see the header.
void Sysroot::Impl::write(const std::vector<OstreeDeployment*>& order) {
    const GPtrArrayOwner array(g_ptr_array_new());
    for (OstreeDeployment* deployment : order)
        g_ptr_array_add(array.get(), deployment);
    OstreeSysrootWriteDeploymentsOpts options{};
    options.do_postclean = FALSE;
    Failure failure;
    if (!ostree_sysroot_write_deployments_with_options(sysroot.get(), array.get(), &options, nullptr, failure))
        failure.raise("write boot entries");
    base::fault_point("entries_written");
    flush_boot(paths.boot, paths.root);
    base::fault_point("boot_flushed");
}

Sysroot::Sysroot(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Sysroot::~Sysroot() = default;
Sysroot::Sysroot(Sysroot&&) noexcept = default;

Sysroot Sysroot::open(const Paths& paths, const std::string& booted_revision, bool own_namespace,
                      std::chrono::milliseconds lock_wait) {
    keep_leftovers();
    auto impl = std::make_unique<Impl>();
    impl->paths = paths;
    impl->booted_revision = booted_revision;
    impl->lock_wait = lock_wait;
    const GOwner<GFile> path(g_file_new_for_path(paths.root.c_str()));
    impl->sysroot.reset(ostree_sysroot_new(path.get()));
    Failure failure;
    if (own_namespace && !ostree_sysroot_initialize_with_mount_namespace(impl->sysroot.get(), nullptr, failure))
        failure.raise("make the sysroot writable in a mount namespace");
    Failure loading;
    if (!ostree_sysroot_load(impl->sysroot.get(), nullptr, loading))
        loading.raise("read the deployments of " + paths.root);
    impl->repository = std::make_unique<Repository>(share(ostree_sysroot_repo(impl->sysroot.get())));
    return Sysroot(std::move(impl));
}

Repository& Sysroot::repository() noexcept {
    return *impl_->repository;
}

std::vector<Deployment> Sysroot::deployments() const {
    const GOwner<OstreeDeployment> booted = impl_->booted();
    std::vector<Deployment> result;
    for (const GOwner<OstreeDeployment>& item : impl_->list()) {
        Deployment deployment;
        deployment.release.commit = ostree_deployment_get_csum(item.get());
        deployment.release.revision = revision_of(item.get());
        deployment.booted = booted && ostree_deployment_equal(booted.get(), item.get());
        deployment.pinned = ostree_deployment_is_pinned(item.get());
        deployment.ref = origin_ref(item.get());
        try {
            const CommitInfo commit = impl_->repository->read_commit(deployment.release.commit);
            deployment.release.version = commit.version;
            deployment.timestamp = commit.timestamp;
        } catch (const base::Error& error) {
            // A damaged commit object must not hide that the deployment is there.
            base::log_warning("{}", error.what());
        }
        result.push_back(std::move(deployment));
    }
    return result;
}

void Sysroot::put_first(const std::string& revision) {
    require_no_bootloader(impl_->repository->get());
    impl_->begin_change();
    const std::vector<GOwner<OstreeDeployment>> old = impl_->list();
    const GOwner<OstreeDeployment> chosen = impl_->find(revision);
    std::vector<OstreeDeployment*> order{chosen.get()};
    for (const GOwner<OstreeDeployment>& deployment : old) {
        if (revision_of(deployment.get()) != revision)
            order.push_back(deployment.get());
    }
    if (order.front() == old.front().get())
        return;
    impl_->write(order);
}

void Sysroot::set_pinned(const std::string& revision, bool pinned) {
    impl_->begin_change();
    Failure failure;
    if (!ostree_sysroot_deployment_set_pinned(impl_->sysroot.get(), impl_->find(revision).get(), pinned, failure))
        failure.raise((pinned ? "pin revision " : "unpin revision ") + revision);
    base::fault_point("pinned");
}

std::vector<std::string> Sysroot::keep_only(const std::vector<std::string>& keep, std::size_t count) {
    require_no_bootloader(impl_->repository->get());
    impl_->begin_change();
    const std::vector<GOwner<OstreeDeployment>> old = impl_->list();
    std::vector<std::string> removed;
    const std::vector<OstreeDeployment*> order = impl_->kept(nullptr, keep, count);
    for (const GOwner<OstreeDeployment>& deployment : old) {
        if (std::find(order.begin(), order.end(), deployment.get()) == order.end())
            removed.push_back(revision_of(deployment.get()));
    }
    if (!removed.empty())
        impl_->write(order);
    return removed;
}

void Sysroot::drop_staged() {
    impl_->repository->set_ref(staged_ref, "");
}

void Sysroot::follow(const std::string& ref, const std::string& commit) {
    impl_->repository->set_ref(ref, commit);
}

void Sysroot::prune() {
    OstreeRepoPruneOptions options{};
    options.flags = OSTREE_REPO_PRUNE_FLAGS_REFS_ONLY;
    options.reachable = ostree_repo_traverse_new_reachable();
    const GHashTableOwner reachable(options.reachable);
    gint total = 0;
    gint removed = 0;
    guint64 bytes = 0;
    Failure failure;
    if (!ostree_sysroot_cleanup_prune_repo(impl_->sysroot.get(), &options, &total, &removed, &bytes, nullptr, failure))
        failure.raise("remove objects that nothing uses");
}

void Sysroot::cleanup() {
    impl_->begin_change();
    std::vector<std::string> revisions;
    for (const GOwner<OstreeDeployment>& deployment : impl_->list())
        revisions.push_back(revision_of(deployment.get()));
    remove_stale_factory_var(stateroot_directory(impl_->paths), revisions);
    Failure failure;
    if (!ostree_sysroot_cleanup(impl_->sysroot.get(), nullptr, failure))
        failure.raise("clean up old deployments");
    base::fault_point("cleaned_up");
}

} // namespace updater
