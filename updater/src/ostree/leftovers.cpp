// What an interrupted pull leaves: libostree keeps the objects of a transaction that did not end in
// tmp/staging-BOOTID-XXXXXX, named as in objects/, and takes them over when the boot is the same. They are not synced,
// so that after a power cut any of them may be empty or torn. The worker gives libostree a boot id that never changes
// (`keep_leftovers`), and looks at every file here instead.
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.hpp"
#include "base/log.hpp"
#include "repository.hpp"

namespace updater {

namespace {

constexpr const char* boot_id = "atoll";
constexpr const char* prefix = "staging-atoll-";

std::vector<std::string> names_in(int directory, const std::string& name) {
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(
        ::fdopendir(base::open_at(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).release()), ::closedir);
    if (!stream)
        base::throw_errno("list " + name);
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string leaf = entry->d_name;
        if (leaf != "." && leaf != "..")
            names.push_back(leaf);
    }
    return names;
}

base::UniqueFd open_temporary(OstreeRepo* repo) {
    return base::open_at(ostree_repo_get_dfd(repo), "tmp", O_RDONLY | O_DIRECTORY);
}

/// The digest that the object in this file has; empty when it is none.
std::string digest_of(int directory, const std::string& path, OstreeObjectType type) {
    struct stat status {};
    if (::fstatat(directory, path.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
        return {};
    if (!S_ISREG(status.st_mode) && !(S_ISLNK(status.st_mode) && type == OSTREE_OBJECT_TYPE_FILE))
        return {};
    char* digest = nullptr;
    Failure failure;
    if (!ostree_checksum_file_at(directory, path.c_str(), &status, type, OSTREE_CHECKSUM_FLAGS_NONE, &digest, nullptr,
                                 failure))
        return {};
    return GString(digest).get();
}

bool is_sound(int directory, const std::string& folder, const std::string& leaf) {
    const std::size_t dot = leaf.find('.');
    if (dot == std::string::npos)
        return false;
    static const std::map<std::string, OstreeObjectType, std::less<>> types{{"file", OSTREE_OBJECT_TYPE_FILE},
                                                                            {"dirtree", OSTREE_OBJECT_TYPE_DIR_TREE},
                                                                            {"dirmeta", OSTREE_OBJECT_TYPE_DIR_META}};
    const auto type = types.find(leaf.substr(dot + 1));
    return type != types.end() && digest_of(directory, folder + "/" + leaf, type->second) ==
                                      folder.substr(folder.rfind('/') + 1) + leaf.substr(0, dot);
}

} // namespace

void keep_leftovers() {
    ::setenv("OSTREE_BOOTID", boot_id, 1);
}

void Repository::remove_leftovers() {
    const base::UniqueFd temporary = open_temporary(get());
    for (const std::string& name : names_in(temporary.get(), ".")) {
        if (name.starts_with(prefix))
            base::remove_tree_at(temporary.get(), name); // also the lock file beside it
    }
}

void Repository::check_leftovers() {
    const base::UniqueFd temporary = open_temporary(get());
    std::size_t kept = 0;
    std::size_t removed = 0;
    for (const std::string& staging : names_in(temporary.get(), ".")) {
        struct stat status {};
        if (!staging.starts_with(prefix) ||
            ::fstatat(temporary.get(), staging.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(status.st_mode))
            continue;
        for (const std::string& name : names_in(temporary.get(), staging)) {
            const std::string folder = staging + "/" + name;
            if (::fstatat(temporary.get(), folder.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
                !S_ISDIR(status.st_mode)) {
                base::remove_tree_at(temporary.get(), folder);
                continue;
            }
            for (const std::string& leaf : names_in(temporary.get(), folder)) {
                if (is_sound(temporary.get(), folder, leaf)) {
                    ++kept;
                    continue;
                }
                base::remove_tree_at(temporary.get(), folder + "/" + leaf);
                ++removed;
            }
        }
    }
    if (kept + removed > 0)
        base::log_info("taking over {} objects of an interrupted download; {} were damaged", kept, removed);
}

} // namespace updater
