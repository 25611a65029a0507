#include "factory_var.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "updater/boot_text.hpp"
#include "updater/sysroot.hpp"

namespace updater {

namespace {

constexpr std::string_view waiting = "var.reset-";
constexpr std::string_view replaced = "var.old-";
constexpr std::string_view retired = "var.gone-";

std::vector<std::string> names_in(const std::string& stateroot, std::string_view prefix) {
    std::vector<std::string> names;
    std::error_code missing;
    for (const auto& entry : std::filesystem::directory_iterator(stateroot, missing)) {
        if (const std::string name = entry.path().filename(); name.starts_with(prefix))
            names.push_back(name);
    }
    return names;
}

} // namespace

std::string stateroot_directory(const Paths& paths) {
    return (paths.is_machine() ? "" : paths.root) + "/ostree/deploy/" + Sysroot::stateroot;
}

void prepare_factory_var(const std::string& stateroot, const std::string& revision) {
    if (!is_revision(revision))
        throw base::Error("factory reset: '" + plain_text(revision, 64) + "' is not a revision");
    const std::string var = stateroot + "/" + std::string(waiting) + revision;
    base::remove_tree(var);
    // What `ostree admin os-init` makes; everything else is made by who needs it.
    for (const char* name : {"", "/lib", "/log", "/tmp"})
        base::make_directories(var + name, 0755);
    base::check(::chmod((var + "/tmp").c_str(), 01777), "chmod " + var + "/tmp");
    base::check(::symlink("../run", (var + "/run").c_str()), "link " + var + "/run");
    base::check(::symlink("../run/lock", (var + "/lock").c_str()), "link " + var + "/lock");
    for (const char* name : {"/lib", "/log", "/tmp", ""})
        base::sync_directory(var + name);
    base::sync_directory(stateroot);
}

void remove_stale_factory_var(const std::string& stateroot, const std::vector<std::string>& revisions) {
    for (const std::string& name : names_in(stateroot, waiting)) {
        if (std::find(revisions.begin(), revisions.end(), name.substr(waiting.size())) == revisions.end())
            base::remove_tree(stateroot + "/" + name);
    }
}

bool retire_old_var(const std::string& stateroot, const std::string& good, const std::vector<std::string>& revisions) {
    for (const std::string& name : names_in(stateroot, replaced)) {
        const std::string reset = name.substr(replaced.size());
        if (reset != good && std::find(revisions.begin(), revisions.end(), reset) != revisions.end())
            continue;
        const std::string gone = stateroot + "/" + std::string(retired) + reset;
        base::check(::rename((stateroot + "/" + name).c_str(), gone.c_str()), "rename to " + gone);
        base::sync_directory(stateroot);
    }
    return !names_in(stateroot, retired).empty();
}

std::string failed_reset_directory(const std::string& stateroot, const std::string& revision) {
    return is_revision(revision) ? stateroot + "/" + std::string(waiting) + revision : "";
}

std::size_t remove_retired_var(const std::string& stateroot) {
    const std::vector<std::string> names = names_in(stateroot, retired);
    for (const std::string& name : names)
        base::remove_tree(stateroot + "/" + name);
    return names.size();
}

} // namespace updater
