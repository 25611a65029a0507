#include "etc_merge.hpp"

#include <sys/stat.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "updater/account_files.hpp"
#include "updater/boot_text.hpp"

namespace updater {

namespace {

constexpr std::size_t max_account_file = 1024 * 1024;

struct Differences {
    std::vector<EtcChange> changes;
    const EtcChange* find(const std::string& path) const {
        const auto found =
            std::find_if(changes.begin(), changes.end(), [&](const EtcChange& change) { return change.path == path; });
        return found == changes.end() ? nullptr : &*found;
    }
    /// The path itself or a directory above it was taken away as a whole.
    bool removed_above(const std::string& path) const {
        return std::any_of(changes.begin(), changes.end(), [&](const EtcChange& change) {
            return change.change == "removed" && path.starts_with(change.path + "/");
        });
    }
};

std::string relative(GFile* root, GFile* file) {
    const GString path(g_file_get_relative_path(root, file));
    return path ? path.get() : "";
}

GPtrArrayOwner array_of_files() {
    return GPtrArrayOwner(g_ptr_array_new_with_free_func(g_object_unref));
}

Differences compare(GFile* before, GFile* after, const std::string& what) {
    const GPtrArrayOwner modified(g_ptr_array_new_with_free_func(
        [](gpointer item) { ostree_diff_item_unref(static_cast<OstreeDiffItem*>(item)); }));
    const GPtrArrayOwner removed = array_of_files();
    const GPtrArrayOwner added = array_of_files();
    Failure failure;
    // As libostree's own merge does: extended attributes of a host's /etc are not an edit.
    if (!ostree_diff_dirs(OSTREE_DIFF_FLAGS_IGNORE_XATTRS, before, after, modified.get(), removed.get(), added.get(),
                          nullptr, failure))
        failure.raise(what);
    Differences result;
    for (guint index = 0; index < modified->len; ++index) {
        const auto* item = static_cast<OstreeDiffItem*>(g_ptr_array_index(modified.get(), index));
        result.changes.push_back({relative(before, item->src), "modified"});
    }
    for (guint index = 0; index < removed->len; ++index)
        result.changes.push_back(
            {relative(before, static_cast<GFile*>(g_ptr_array_index(removed.get(), index))), "removed"});
    for (guint index = 0; index < added->len; ++index)
        result.changes.push_back(
            {relative(after, static_cast<GFile*>(g_ptr_array_index(added.get(), index))), "added"});
    std::sort(result.changes.begin(), result.changes.end(),
              [](const EtcChange& left, const EtcChange& right) { return left.path < right.path; });
    return result;
}

GOwner<GFile> directory(const std::string& path) {
    return GOwner<GFile>(g_file_new_for_path(path.c_str()));
}

bool is_account_file(const std::string& path) {
    return std::any_of(all_account_files.begin(), all_account_files.end(),
                       [&](AccountFile file) { return path == to_string(file); });
}

bool is_directory(GFile* root, const std::string& path) {
    const GOwner<GFile> file(g_file_resolve_relative_path(root, path.c_str()));
    return g_file_query_file_type(file.get(), G_FILE_QUERY_INFO_NOFOLLOW_SYMLINKS, nullptr) == G_FILE_TYPE_DIRECTORY;
}

/// Where libostree's merge gives up: it copies what was changed here into the next image's /etc, and needs its place.
void find_blocked(EtcReport& report, const Differences& there, GFile* here_etc, GFile* next_etc) {
    for (const EtcChange& change : report.here) {
        if (change.change == "removed")
            continue;
        if (there.removed_above(change.path))
            report.blocked.push_back(fmt::format("{}: {} here, but the image has no more the directory it is in",
                                                 change.path, change.change));
        else if (there.find(change.path) != nullptr &&
                 is_directory(here_etc, change.path) != is_directory(next_etc, change.path) &&
                 there.find(change.path)->change != "removed")
            report.blocked.push_back(fmt::format("{}: a directory on one side and a file on the other", change.path));
    }
}

/// nullopt when it is missing or not a regular file.
std::optional<std::string> account_text(const std::string& path) {
    const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode))
        return std::nullopt;
    return base::read_fd(fd.get(), max_account_file, path);
}

/// Owner and mode are those of the host's file.
void write_account_file(const std::string& like, const std::string& path, const std::string& text) {
    struct stat status {};
    base::check(::lstat(like.c_str(), &status), "stat " + like);
    base::write_durable(path, text, 0600);
    base::check(::chown(path.c_str(), status.st_uid, status.st_gid), "chown " + path);
    base::check(::chmod(path.c_str(), status.st_mode & 0777), "chmod " + path);
}

void tell(std::vector<std::string>& told, AccountFile file, const char* what, const std::vector<std::string>& names) {
    for (const std::string& name : names)
        told.push_back(fmt::format("{}: {} {}", to_string(file), plain_text(name, 64), what));
}

} // namespace

EtcReport report_etc(const Repository& repository, const std::string& deployment, const std::string& commit,
                     const std::string& next) {
    EtcReport report;
    const GOwner<GFile> shipped = directory(deployment + "/usr/etc");
    const GOwner<GFile> here_etc = directory(deployment + "/etc");
    const Differences here = compare(shipped.get(), here_etc.get(), "compare /etc with the image");
    report.here = here.changes;
    if (next.empty() || next == commit)
        return report;
    const GOwner<GFile> old_etc = repository.open_path(commit, "usr/etc");
    const GOwner<GFile> next_etc = repository.open_path(next, "usr/etc");
    const Differences there = compare(old_etc.get(), next_etc.get(), "compare /etc of the images");
    report.there = there.changes;
    const Differences apart = compare(here_etc.get(), next_etc.get(), "compare /etc with the next image");
    for (const EtcChange& change : there.changes) {
        if (is_account_file(change.path) || !(here.find(change.path) != nullptr || here.removed_above(change.path)))
            continue;
        if (apart.find(change.path) != nullptr || apart.removed_above(change.path))
            report.conflicts.push_back(change.path);
    }
    find_blocked(report, there, here_etc.get(), next_etc.get());
    return report;
}

std::vector<std::string> edits_missing_in(const std::string& from, const std::string& to) {
    const GOwner<GFile> shipped = directory(from + "/usr/etc");
    const GOwner<GFile> here = directory(from + "/etc");
    const GOwner<GFile> there = directory(to + "/etc");
    const Differences apart = compare(there.get(), here.get(), "compare /etc of two deployments");
    std::vector<std::string> paths;
    for (const EtcChange& change : compare(shipped.get(), here.get(), "compare /etc with the image").changes) {
        if (apart.find(change.path) != nullptr)
            paths.push_back(change.path);
    }
    return paths;
}

std::vector<std::string> merge_account_files(const Repository& repository, const std::string& from,
                                             const std::string& next, const std::string& to) {
    std::vector<std::string> told;
    std::set<std::string> refused;
    for (const AccountFile file : all_account_files) {
        const std::string name(to_string(file));
        const std::string before = account_text(from + "/usr/etc/" + name).value_or("");
        const std::optional<std::string> here = account_text(from + "/etc/" + name);
        const std::optional<std::string> after = repository.read_file(next, "usr/etc/" + name, max_account_file);
        // Not edited here: the image's file is taken as it is. Not changed by the image: ours is.
        if (!here || !after || *here == before || *after == before)
            continue;
        const MergedAccounts merged = merge_accounts(file, before, *here, *after, refused);
        refused.insert(merged.refused.begin(), merged.refused.end());
        tell(told, file, "comes with the image", merged.added);
        tell(told, file, "is no longer in the image and was taken away", merged.removed);
        tell(told, file, "was changed by the image", merged.updated);
        told.insert(told.end(), merged.conflicts.begin(), merged.conflicts.end());
        if (!to.empty())
            write_account_file(from + "/etc/" + name, to + "/etc/" + name, merged.text);
    }
    return told;
}

} // namespace updater
