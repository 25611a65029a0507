// GRUB's environment block: 1024 bytes of NAME=value lines, padded with '#'. GRUB writes it in place, without a
// file system, so it is never renamed, truncated or extended (GRUB manual, section 16.2, "The GRUB environment block").
#pragma once
#include <map>
#include <string>
#include <string_view>

namespace base {

class GrubEnv {
public:
    static constexpr std::size_t size = 1024;

    /// Parses a block. Throws Error when it is not one (wrong size or header).
    static GrubEnv parse(std::string_view block);
    /// Reads the file. Throws Error.
    static GrubEnv load(const std::string& path);

    /// Empty when unset.
    std::string get(const std::string& name) const;
    void set(const std::string& name, const std::string& value);
    void unset(const std::string& name);
    const std::map<std::string, std::string>& values() const noexcept { return values_; }

    /// The 1024 bytes. Throws Error when the lines pass 512 bytes: what lives in one sector is written whole or not.
    std::string serialize() const;
    /// One pwrite with O_DSYNC over the existing file of 1024 bytes; creates nothing.
    void store_in_place(const std::string& path) const;

private:
    std::map<std::string, std::string> values_;
};

} // namespace base
