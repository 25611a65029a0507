#include "grub_block.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/unique_fd.hpp"
#include "files.hpp"

namespace init {

namespace {

constexpr std::string_view block_header = "# GRUB Environment Block\n";
constexpr std::size_t sector = 512;

std::string_view name_of(std::string_view line) noexcept {
    const std::size_t equals = line.find('=');
    return equals == std::string_view::npos ? std::string_view() : std::string_view(line.data(), equals);
}

} // namespace

bool is_grub_block(std::string_view block) noexcept {
    return block.starts_with(block_header);
}

std::string_view grub_variable(std::string_view block, std::string_view name) noexcept {
    if (!is_grub_block(block))
        return {};
    std::string_view rest = block;
    while (const auto line = next_part(rest, '\n')) {
        if (!line->starts_with('#') && name_of(*line) == name && !name.empty())
            return skip(*line, name.size() + 1);
    }
    return {};
}

bool change_grub_block(std::string_view block, std::initializer_list<GrubSetting> settings,
                       GrubBlock& changed) noexcept {
    if (!is_grub_block(block) || block.size() != grub_block_size)
        return false;
    changed.clear();
    changed.add(block_header);
    std::string_view rest = skip(block, block_header.size());
    while (const auto line = next_part(rest, '\n')) {
        if (line->starts_with('#') || line->empty())
            continue;
        const std::string_view name = name_of(*line);
        const bool replaced = std::any_of(settings.begin(), settings.end(),
                                          [&](const GrubSetting& setting) { return setting.name == name; });
        if (!replaced)
            changed.put(*line, '\n');
    }
    for (const GrubSetting& setting : settings) {
        if (!setting.value.empty())
            changed.put(setting.name, '=', setting.value, '\n');
    }
    if (changed.view().size() > sector)
        return false;
    while (changed.view().size() < grub_block_size)
        changed.add('#');
    return true;
}

int read_grub_block(const char* path, GrubBlock& block) noexcept {
    return read_text(path, block);
}

int write_grub_block(const char* path, const GrubBlock& block) noexcept {
    const base::UniqueFd fd(::open(path, O_WRONLY | O_DSYNC | O_NOFOLLOW | O_CLOEXEC));
    if (!fd)
        return errno;
    const std::string_view text = block.view();
    const ssize_t written = ::pwrite(fd.get(), text.data(), text.size(), 0);
    if (written < 0)
        return errno;
    return static_cast<std::size_t>(written) == text.size() ? 0 : EIO;
}

} // namespace init
