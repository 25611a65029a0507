#include "image/sysroot.hpp"

#include <sys/stat.h>

#include <cstdlib>

#include <ostree.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "glib.hpp"
#include "sign_commit.hpp"

namespace image {
namespace {

constexpr const char* stateroot = "atoll";

void configure_repository(OstreeRepo* repo) {
    const GKeyFilePtr config(ostree_repo_copy_config(repo));
    // Without it a grub.cfg in /boot makes libostree call grub-mkconfig.
    g_key_file_set_string(config.get(), "sysroot", "bootloader", "none");
    // A sysroot's repository otherwise keeps its remotes in /etc/ostree, which the updater has read-only.
    g_key_file_set_boolean(config.get(), "core", "add-remotes-config-dir", FALSE);
    GErrorGuard error("configure the sysroot's repository");
    error.check(ostree_repo_write_config(repo, config.get(), error.out()));
}

void deploy(OstreeSysroot* sysroot, const SysrootRequest& request) {
    std::vector<char*> arguments;
    std::vector<std::string> copies = request.kernel_arguments;
    arguments.reserve(copies.size() + 1);
    for (std::string& argument : copies)
        arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    const GKeyFilePtr origin(ostree_sysroot_origin_new_from_refspec(sysroot, request.ref.c_str()));
    // Stage 1 of init finds the deployment by it when the links that `ostree=` goes through are lost.
    g_key_file_set_string(origin.get(), "atoll", "revision", request.revision.c_str());
    OstreeDeployment* deployment_out = nullptr;
    GErrorGuard error("deploy " + request.commit);
    error.check(ostree_sysroot_deploy_tree(sysroot, stateroot, request.commit.c_str(), origin.get(), nullptr,
                                           arguments.data(), &deployment_out, nullptr, error.out()));
    const GObjectPtr<OstreeDeployment> deployment(deployment_out);
    error.check(ostree_sysroot_simple_write_deployment(sysroot, stateroot, deployment.get(), nullptr,
                                                       OSTREE_SYSROOT_SIMPLE_WRITE_DEPLOYMENT_FLAGS_NONE, nullptr,
                                                       error.out()));
}

} // namespace

void make_sysroot(const SysrootRequest& request, const std::vector<SigningKey>& keys, const std::string& path) {
    // The build host's files are copied to the disk and removed: no immutable flag on them.
    ::setenv("OSTREE_SYSROOT_DEBUG", "mutable-deployments", 1);
    for (const char* name : {"boot", "proc", "sys", "dev", "run"})
        base::make_directories(path + "/" + name);
    base::make_directories(path + "/tmp");
    base::check(::chmod((path + "/tmp").c_str(), 01777), "chmod " + path + "/tmp");

    const GObjectPtr<GFile> file(g_file_new_for_path(path.c_str()));
    const GObjectPtr<OstreeSysroot> sysroot(ostree_sysroot_new(file.get()));
    GErrorGuard error("sysroot " + path);
    error.check(ostree_sysroot_ensure_initialized(sysroot.get(), nullptr, error.out()));
    error.check(ostree_sysroot_load(sysroot.get(), nullptr, error.out()));
    OstreeRepo* repo_out = nullptr;
    error.check(ostree_sysroot_get_repo(sysroot.get(), &repo_out, nullptr, error.out()));
    const GObjectPtr<OstreeRepo> repo(repo_out);
    configure_repository(repo.get());
    ostree_repo_set_disable_fsync(repo.get(), TRUE);
    error.check(ostree_sysroot_init_osname(sysroot.get(), stateroot, nullptr, error.out()));
    pull_local(repo.get(), request.repository, request.commit);
    sign_commit(repo.get(), request.commit, keys);
    error.check(ostree_repo_set_ref_immediate(repo.get(), nullptr, request.ref.c_str(), request.commit.c_str(), nullptr,
                                              error.out()));
    deploy(sysroot.get(), request);
}

} // namespace image
