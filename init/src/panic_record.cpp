#include "panic_record.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/unique_fd.hpp"
#include "files.hpp"
#include "log.hpp"

namespace init {

namespace {

constexpr std::size_t max_dump = 32 * 1024;
constexpr std::size_t lines_kept = 40;

std::string_view read_dump(int directory, const char* name, char* buffer) noexcept {
    const base::UniqueFd fd(::openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    const ssize_t size = fd ? read_at(fd.get(), buffer, max_dump, 0) : -1;
    return {buffer, size > 0 ? static_cast<std::size_t>(size) : 0};
}

} // namespace

std::string_view last_part(std::string_view dump) noexcept {
    std::string_view rest = dump;
    const auto header = next_part(rest, '\n');
    const bool is_dump = header && (header->starts_with("Panic#") || header->starts_with("Oops#"));
    return is_dump && header->ends_with("Part1") ? rest : std::string_view();
}

std::string_view panic_line(std::string_view dump) noexcept {
    while (const auto line = next_part(dump, '\n'))
        if (line->find("Kernel panic - not syncing") != std::string_view::npos)
            return *line;
    return {};
}

std::string_view last_lines(std::string_view text, std::size_t count) noexcept {
    std::size_t lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    if (!text.empty() && !text.ends_with('\n'))
        ++lines;
    for (; lines > count; --lines)
        text = skip(text, text.find('\n') + 1);
    return text;
}

bool holds_panic(const char* store) noexcept {
    DIR* directory = ::opendir(store);
    if (directory == nullptr)
        return false;
    bool found = false;
    while (const dirent* entry = found ? nullptr : ::readdir(directory))
        found = std::string_view(entry->d_name).starts_with("dmesg-");
    ::closedir(directory);
    return found;
}

void keep_panic(const char* store, const char* target) noexcept {
    DIR* directory = ::opendir(store);
    if (directory == nullptr)
        return;
    static char buffer[max_dump];
    static Text<max_dump> note; // of the newest: its name, which ends in the time and a count, sorts last
    static Text<512> reason;    // of the newest as well; a long trace leaves it in an earlier part
    Text<256> newest;
    Text<256> newest_reason;
    note.clear();
    reason.clear();
    while (const dirent* entry = ::readdir(directory)) {
        const std::string_view name(entry->d_name);
        if (!name.starts_with("dmesg-"))
            continue;
        const std::string_view dump = read_dump(::dirfd(directory), entry->d_name, buffer);
        const std::string_view text = last_part(dump);
        const std::string_view line = panic_line(dump);
        if (!line.empty() && (newest_reason.empty() || name > newest_reason.view())) {
            newest_reason.assign(name);
            reason.assign(line);
        }
        if (!text.empty() && (newest.empty() || name > newest.view())) {
            newest.assign(name);
            note.assign(last_lines(text, lines_kept));
        }
        if (::unlinkat(::dirfd(directory), entry->d_name, 0) != 0)
            log_warning("remove ", store, "/", name, ": ", Errno{errno});
    }
    ::closedir(directory);
    if (note.empty())
        return;
    static Text<max_dump + 512> kept;
    kept.clear();
    if (!reason.empty() && note.view().find(reason.view()) == std::string_view::npos)
        kept.put(reason.view(), '\n');
    kept.add(note.view());
    log_notice("the kernel panicked in an earlier boot, its last lines are in ", target);
    if (const int error = write_durable(target, kept.view(), 0600); error != 0)
        log_error("write ", target, ": ", Errno{error});
}

} // namespace init
