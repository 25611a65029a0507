#include "core/user_lookup.hpp"

#include <sys/stat.h>

#include <charconv>
#include <optional>

#include "base/error.hpp"
#include "base/files.hpp"

namespace engine {
namespace {

std::optional<std::uint32_t> parse_id(std::string_view text) {
    std::uint32_t id = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), id);
    if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size() || id == UINT32_MAX)
        return std::nullopt;
    return id;
}

/// The lines of an /etc file, split at colons. A missing one is empty: images without users are usual.
std::vector<std::vector<std::string>> read_table(int root, const std::string& path, std::size_t columns) {
    base::UniqueFd fd;
    try {
        fd = base::open_in_root(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    } catch (const base::Error& error) {
        if (error.error() == ENOENT || error.error() == ENOTDIR)
            return {};
        throw;
    }
    struct stat status {};
    base::check(::fstat(fd.get(), &status), "stat " + path);
    if (!S_ISREG(status.st_mode))
        return {};
    const std::string text = base::read_fd(fd.get(), 1024 * 1024, path);
    std::vector<std::vector<std::string>> table;
    std::size_t begin = 0;
    while (begin < text.size()) {
        std::size_t end = text.find('\n', begin);
        if (end == std::string::npos)
            end = text.size();
        std::vector<std::string> row(1);
        for (std::size_t i = begin; i < end; ++i) {
            if (text[i] == ':')
                row.emplace_back();
            else
                row.back() += text[i];
        }
        if (row.size() >= columns)
            table.push_back(std::move(row));
        begin = end + 1;
    }
    return table;
}

bool lists(const std::string& members, const std::string& name) {
    return ("," + members + ",").find("," + name + ",") != std::string::npos;
}

} // namespace

ContainerUser look_up_user(const std::string& root_directory, const std::string& user,
                           const std::vector<std::string>& additional_groups) {
    const base::UniqueFd root = base::open_file(root_directory, O_PATH | O_DIRECTORY);
    const auto passwd = read_table(root.get(), "/etc/passwd", 6);
    const auto groups = read_table(root.get(), "/etc/group", 4);
    const std::size_t colon = user.find(':');
    const std::string user_part = user.substr(0, colon);
    const std::string group_part = colon == std::string::npos ? "" : user.substr(colon + 1);

    const auto find_group = [&](const std::string& text) -> gid_t {
        for (const auto& row : groups)
            if (row[0] == text)
                if (const auto id = parse_id(row[2]))
                    return *id;
        if (const auto id = parse_id(text))
            return *id;
        throw base::Error("unable to find group " + text + ": no matching entries in group file");
    };

    ContainerUser result;
    std::string name = user_part;
    const auto wanted = user_part.empty() ? std::optional<std::uint32_t>(0) : parse_id(user_part);
    bool found = false;
    for (const auto& row : passwd) {
        const auto uid = parse_id(row[2]), gid = parse_id(row[3]);
        if (!uid || !gid || !(row[0] == user_part || (wanted && *uid == *wanted)))
            continue;
        found = true;
        name = row[0];
        result.uid = *uid;
        result.gid = *gid;
        result.home = row[5].empty() ? "/" : row[5];
        break;
    }
    if (!found) {
        if (!wanted)
            throw base::Error("unable to find user " + user_part + ": no matching entries in passwd file");
        result.uid = *wanted;
        name.clear();
    }
    if (!group_part.empty()) {
        result.gid = find_group(group_part);
    } else if (!name.empty()) {
        // As login does: with a group given, only that one.
        for (const auto& row : groups)
            if (const auto id = parse_id(row[2]); id && *id != result.gid && lists(row[3], name))
                result.additional_groups.push_back(*id);
    }
    for (const std::string& group : additional_groups)
        result.additional_groups.push_back(find_group(group));
    return result;
}

} // namespace engine
