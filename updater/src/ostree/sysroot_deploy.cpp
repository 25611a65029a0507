// Making a commit the newest deployment: its /etc, its kernel arguments, and for a factory reset its /var.
#include "base/error.hpp"
#include "base/fault_point.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "etc_merge.hpp"
#include "factory_var.hpp"
#include "sysroot_impl.hpp"
#include "updater/boot_text.hpp"
#include "updater/image_info.hpp"

namespace updater {

namespace {

constexpr std::size_t max_image_yaml = 1024 * 1024;

// libostree makes the entry's title of the os-release after the merge of /etc, which this host may have edited.
void require_safe_title(const std::string& directory) {
    const base::UniqueFd root = base::open_file(directory, O_RDONLY | O_DIRECTORY);
    for (const char* name : {"etc/os-release", "usr/lib/os-release"}) {
        try {
            const base::UniqueFd file = base::open_in_root(root.get(), name, O_RDONLY);
            require_safe_os_release(base::read_fd(file.get(), 64 * 1024, name), name);
        } catch (const base::Error& error) {
            if (error.error() != ENOENT)
                throw;
        }
    }
}

/// What the image of a commit says of its kernel arguments.
std::optional<std::vector<std::string>> image_arguments(const Repository& repository, const std::string& commit) {
    const std::optional<std::string> text = repository.read_file(commit, "usr/lib/atoll/image.yaml", max_image_yaml);
    return text ? ImageInfo::parse(*text, "image.yaml of commit " + commit).kernel_arguments : std::nullopt;
}

MergedArguments arguments_for(const Repository& repository, const std::string& booted_commit,
                              const std::vector<std::string>& here, const DeployRequest& request) {
    const std::vector<std::string> before =
        image_arguments(repository, booted_commit).value_or(std::vector<std::string>{});
    // An image that says nothing changes nothing.
    const std::vector<std::string> after = image_arguments(repository, request.commit).value_or(before);
    MergedArguments merged;
    if (request.factory) {
        // `root=` is the disk's, from when it was made; the rest of what is not the image's was changed on this host.
        std::copy_if(here.begin(), here.end(), std::back_inserter(merged.arguments),
                     [](const std::string& argument) { return argument_name(argument) == "root"; });
        merged.arguments.insert(merged.arguments.end(), after.begin(), after.end());
    } else {
        merged = merge_arguments(before, here, after);
        merged.arguments = change_arguments(std::move(merged.arguments), request.arguments, false);
    }
    std::string line;
    for (const std::string& argument : merged.arguments) {
        if (argument.find_first_of(" \t\n") != std::string::npos)
            throw base::Error(fmt::format("kernel argument '{}' of the image: has a space", plain_text(argument, 200)));
        line += argument + " ";
    }
    merged.arguments = next_kernel_arguments(line, request.revision);
    require_fitting_arguments(merged.arguments);
    return merged;
}

} // namespace

std::string Sysroot::Impl::directory_of(OstreeDeployment* deployment) const {
    const GString path(ostree_sysroot_get_deployment_dirpath(sysroot.get(), deployment));
    return (paths.is_machine() ? "" : paths.root) + "/" + path.get();
}

DeployReport Sysroot::deploy(const DeployRequest& request) {
    require_no_bootloader(impl_->repository->get());
    impl_->begin_change();
    DeployReport report;
    const GOwner<OstreeDeployment> booted = impl_->booted();
    if (!booted)
        throw base::Error("deploy " + request.commit + ": the booted deployment is not known");
    for (const GOwner<OstreeDeployment>& deployment : impl_->list()) {
        if (revision_of(deployment.get()) == request.revision) {
            base::log_notice("revision {} is deployed already", request.revision);
            return report;
        }
    }
    const std::string booted_commit = ostree_deployment_get_csum(booted.get());
    MergedArguments arguments =
        arguments_for(*impl_->repository, booted_commit, split_arguments(boot_options(booted.get())), request);
    report.argument_conflicts = arguments.conflicts;
    if (!request.factory)
        report.etc = etc_report(request.commit);
    if (!report.etc.blocked.empty())
        throw base::Error("/etc cannot be merged: " + report.etc.blocked.front());

    std::vector<char*> argv;
    for (std::string& argument : arguments.arguments)
        argv.push_back(argument.data());
    argv.push_back(nullptr);
    const GKeyFileOwner origin(ostree_sysroot_origin_new_from_refspec(impl_->sysroot.get(), request.ref.c_str()));
    // Stage 1 of init finds the deployment by it when the links that `ostree=` goes through are lost.
    g_key_file_set_string(origin.get(), "atoll", "revision", request.revision.c_str());
    Failure failure;
    OstreeDeployment* raw = nullptr;
    if (!ostree_sysroot_deploy_tree(impl_->sysroot.get(), ostree_deployment_get_osname(booted.get()),
                                    request.commit.c_str(), origin.get(), request.factory ? nullptr : booted.get(),
                                    argv.data(), &raw, nullptr, failure))
        failure.raise("deploy " + request.commit);
    const GOwner<OstreeDeployment> created(raw);
    base::fault_point("tree_deployed");

    // libostree syncs the file system before it writes the boot entries: what is put into the deployment here is on
    // disk before anything leads to it.
    const std::string directory = impl_->directory_of(created.get());
    if (!request.factory)
        merge_account_files(*impl_->repository, impl_->directory_of(booted.get()), request.commit, directory);
    require_safe_title(directory);
    base::fault_point("accounts_merged");
    if (request.factory) {
        prepare_factory_var(stateroot_directory(impl_->paths), request.revision);
        base::fault_point("var_prepared");
    }
    impl_->write(impl_->kept(created.get(), request.keep, request.keep_count));
    return report;
}

EtcReport Sysroot::etc_report(const std::string& next) const {
    const GOwner<OstreeDeployment> booted = impl_->booted();
    if (!booted)
        throw base::Error("compare /etc: the booted deployment is not known");
    const std::string directory = impl_->directory_of(booted.get());
    EtcReport report = report_etc(*impl_->repository, directory, ostree_deployment_get_csum(booted.get()), next);
    if (!next.empty())
        report.accounts = merge_account_files(*impl_->repository, directory, next, {});
    return report;
}

std::vector<std::string> Sysroot::edits_missing_in(const std::string& revision) const {
    const GOwner<OstreeDeployment> booted = impl_->booted();
    if (!booted)
        throw base::Error("compare /etc: the booted deployment is not known");
    return updater::edits_missing_in(impl_->directory_of(booted.get()),
                                     impl_->directory_of(impl_->find(revision).get()));
}

std::vector<std::string> Sysroot::kernel_arguments() const {
    const GOwner<OstreeDeployment> booted = impl_->booted();
    std::vector<std::string> arguments;
    if (booted)
        arguments = split_arguments(boot_options(booted.get()));
    std::erase_if(arguments, [](const std::string& argument) { return is_reserved_argument(argument); });
    return arguments;
}

void Sysroot::require_bootable_arguments(const DeployRequest& request) const {
    const GOwner<OstreeDeployment> booted = impl_->booted();
    if (!booted)
        return; // the first deployment of a disk has nothing to merge with, and deploying says so
    base::with_context("commit " + request.commit, [&] {
        arguments_for(*impl_->repository, ostree_deployment_get_csum(booted.get()),
                      split_arguments(boot_options(booted.get())), request);
    });
}

std::string Sysroot::stage_local(const DeployRequest& request) {
    const std::string& commit = request.commit;
    const CommitInfo info = impl_->repository->read_commit(commit);
    Failure failure;
    OstreeRepoCommitState state{};
    if (!ostree_repo_load_commit(impl_->repository->get(), commit.c_str(), nullptr, &state, failure))
        failure.raise("read commit " + commit);
    if ((state & OSTREE_REPO_COMMIT_STATE_PARTIAL) != 0)
        throw base::Error("commit " + commit + ": not all of it is here");
    require_bootable_arguments(request);
    impl_->repository->set_ref(staged_ref, commit);
    base::fault_point("protected_local");
    return info.version;
}

} // namespace updater
