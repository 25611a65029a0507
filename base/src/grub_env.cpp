#include "base/grub_env.hpp"

#include <fcntl.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/files.hpp"

namespace base {
namespace {

constexpr std::string_view header = "# GRUB Environment Block\n";
constexpr std::size_t sector = 512;

bool valid_name(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
}

} // namespace

GrubEnv GrubEnv::parse(std::string_view block) {
    if (block.size() != size || !block.starts_with(header))
        throw Error("not a GRUB environment block");
    GrubEnv env;
    block.remove_prefix(header.size());
    while (!block.empty() && block.front() != '#') {
        const auto end = block.find('\n');
        if (end == std::string_view::npos)
            throw Error("GRUB environment block: line without end");
        const std::string_view line = block.substr(0, end);
        block.remove_prefix(end + 1);
        const auto equals = line.find('=');
        // GRUB itself passes over what it does not understand; so a stray line does not stop a boot.
        if (equals == std::string_view::npos || !valid_name(line.substr(0, equals)))
            continue;
        std::string value;
        for (std::size_t i = equals + 1; i < line.size(); ++i) {
            if (line[i] == '\\' && i + 1 < line.size())
                ++i;
            value += line[i];
        }
        env.values_[std::string(line.substr(0, equals))] = value;
    }
    return env;
}

GrubEnv GrubEnv::load(const std::string& path) {
    return with_context("read " + path, [&] { return parse(read_file(path, size + 1)); });
}

std::string GrubEnv::get(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::string() : found->second;
}

void GrubEnv::set(const std::string& name, const std::string& value) {
    if (!valid_name(name) || value.find_first_of("\n#") != std::string::npos)
        throw Error("GRUB environment: bad name or value: " + name);
    values_[name] = value;
}

void GrubEnv::unset(const std::string& name) {
    values_.erase(name);
}

std::string GrubEnv::serialize() const {
    std::string block(header);
    for (const auto& [name, value] : values_) {
        block += name + "=";
        for (const char c : value) {
            if (c == '\\')
                block += '\\';
            block += c;
        }
        block += '\n';
    }
    if (block.size() > sector)
        throw Error("GRUB environment: more than one sector of values");
    block.resize(size, '#');
    return block;
}

void GrubEnv::store_in_place(const std::string& path) const {
    const std::string block = serialize();
    UniqueFd fd = open_file(path, O_WRONLY | O_DSYNC | O_NOFOLLOW);
    write_all_at(fd.get(), block, 0, path);
    checked_close(std::move(fd), path);
}

} // namespace base
