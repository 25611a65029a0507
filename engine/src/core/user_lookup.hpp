// "user", "uid:gid", ... to numbers, by the passwd and group files of the container's own root file system.
#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

namespace engine {

struct ContainerUser {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> additional_groups; ///< those the group file lists the user in, and the ones asked for
    std::string home = "/";
};

/// `user` as Docker takes it; names are looked up in `root_directory`/etc/passwd and group, which are hostile: symbolic
/// links stay inside, files are bounded. Throws base::Error "unable to find user NAME: ...".
ContainerUser look_up_user(const std::string& root_directory, const std::string& user,
                           const std::vector<std::string>& additional_groups);

} // namespace engine
