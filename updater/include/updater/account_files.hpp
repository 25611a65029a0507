// passwd(5), group(5), shadow(5) and gshadow(5), merged three ways by name. A host that added one user has an edited
// /etc/passwd, and a merge by whole files would hide every system user that a later image brings.
#pragma once
#include <array>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace updater {

enum class AccountFile { passwd, group, shadow, gshadow };

/// In the order in which they have to be merged: names that `passwd` or `group` refused are not taken in the others.
inline constexpr std::array all_account_files{AccountFile::passwd, AccountFile::group, AccountFile::shadow,
                                              AccountFile::gshadow};
std::string_view to_string(AccountFile file) noexcept;

struct MergedAccounts {
    std::string text;
    std::vector<std::string> added;     ///< names of the next image that came in
    std::vector<std::string> removed;   ///< names the next image has no more and the host never touched
    std::vector<std::string> updated;   ///< names whose line is the next image's now
    std::vector<std::string> conflicts; ///< "user web: ...": what was not taken, and why
    std::set<std::string> refused;      ///< names of the image that were not added
};

/// `before`: as the image that runs ships it; `here`: as it is on the host; `after`: as the next image ships it.
/// What the host changed stays; what it deleted stays away. Lines that are none (comments, no colon, a name that is
/// there already) stay where they are. Members of a group are merged one by one. An id that somebody else has here is
/// not given to a second name: the new one is refused. `not_wanted`: names to leave out.
MergedAccounts merge_accounts(AccountFile file, std::string_view before, std::string_view here, std::string_view after,
                              const std::set<std::string>& not_wanted = {});

} // namespace updater
