#include "image/lock.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/sha256.hpp"

namespace image {
namespace {

constexpr std::uint64_t max_package_size = 1ULL << 30;

/// One line being read, with the place for messages.
class LineReader {
public:
    LineReader(std::string_view line, std::size_t number, const std::string& file)
        : line_(line), number_(number), file_(file) {}

    /// The next word; empty at the end. `column()` is its place.
    std::string_view next() noexcept {
        while (position_ < line_.size() && is_blank(line_[position_]))
            ++position_;
        start_ = position_;
        while (position_ < line_.size() && !is_blank(line_[position_]))
            ++position_;
        return line_.substr(start_, position_ - start_);
    }

    [[noreturn]] void fail(const std::string& problem) const { fail_at(start_, problem); }
    [[noreturn]] void fail_at(std::size_t offset, const std::string& problem) const {
        throw base::Error(file_ + ":" + std::to_string(number_) + ":" + std::to_string(offset + 1) + ": " + problem);
    }
    std::size_t start() const noexcept { return start_; }

private:
    static bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }
    std::string_view line_;
    std::size_t number_;
    const std::string& file_;
    std::size_t position_ = 0;
    std::size_t start_ = 0;
};

bool only(std::string_view text, std::string_view extra) noexcept {
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               extra.find(c) != std::string_view::npos;
    });
}

template <typename Number>
bool parse_number(std::string_view text, Number& value) noexcept {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
}

bool is_pool_path(std::string_view path) noexcept {
    return path.starts_with("pool/") && path.ends_with(".deb") && only(path, "/._+~%:-") &&
           path.find("..") == std::string_view::npos;
}

LockedPackage parse_package(LineReader& reader, std::string_view first) {
    LockedPackage package;
    const std::size_t equals = first.find('=');
    if (equals == std::string_view::npos)
        reader.fail("expected NAME=VERSION, got \"" + std::string(first) + "\"");
    package.name = first.substr(0, equals);
    package.version = first.substr(equals + 1);
    if (!only(package.name, "+.-"))
        reader.fail("bad package name \"" + package.name + "\"");
    if (!only(package.version, ".+:~-"))
        reader.fail_at(reader.start() + equals + 1, package.name + ": bad version \"" + package.version + "\"");
    package.architecture = reader.next();
    if (package.architecture != "amd64" && package.architecture != "all")
        reader.fail(package.name + ": expected the architecture, amd64 or all");
    package.sha256 = reader.next();
    if (!base::is_sha256_hex(package.sha256))
        reader.fail(package.name + ": expected a SHA256 digest of 64 hexadecimal digits");
    if (!parse_number(reader.next(), package.size) || package.size == 0 || package.size > max_package_size)
        reader.fail(package.name + ": expected the size in bytes, 1 to " + std::to_string(max_package_size));
    package.filename = reader.next();
    if (!is_pool_path(package.filename))
        reader.fail(package.name + ": expected a file name below pool/ that ends in .deb");
    if (!reader.next().empty())
        reader.fail(package.name + ": text after the file name");
    return package;
}

} // namespace

std::string LockedPackage::pool_name() const {
    std::string escaped;
    for (const char c : version)
        escaped += c == ':' ? std::string("%3a") : std::string(1, c);
    return name + "_" + escaped + "_" + architecture + ".deb";
}

const LockedPackage* Lock::find(std::string_view name) const noexcept {
    const auto found =
        std::lower_bound(packages.begin(), packages.end(), name,
                         [](const LockedPackage& package, std::string_view wanted) { return package.name < wanted; });
    return found != packages.end() && found->name == name ? &*found : nullptr;
}

std::string Lock::digest() const {
    Lock undated = *this;
    undated.date = 0;
    return base::sha256_hex(format_lock(undated));
}

Lock parse_lock(std::string_view text, const std::string& name) {
    Lock lock;
    bool dated = false;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        LineReader reader(text.substr(0, end), number, name);
        text.remove_prefix(std::min(end + 1, text.size()));

        const std::string_view first = reader.next();
        if (first.empty() || first.front() == '#')
            continue;
        if (first == "date") {
            if (dated)
                reader.fail("a second date");
            if (!parse_number(reader.next(), lock.date) || lock.date < 0 || !reader.next().empty())
                reader.fail("expected \"date SECONDS\" since 1970");
            dated = true;
            continue;
        }
        LockedPackage package = parse_package(reader, first);
        if (!lock.packages.empty() && lock.packages.back().name >= package.name)
            reader.fail_at(0, package.name +
                                  (lock.packages.back().name == package.name ? ": locked twice" : ": not in order"));
        lock.packages.push_back(std::move(package));
    }
    if (!dated)
        throw base::Error(name + ":1:1: no \"date SECONDS\" line");
    return lock;
}

Lock load_lock(const std::string& path) {
    return parse_lock(base::read_file(path), path);
}

std::string format_lock(const Lock& lock) {
    std::string text = "# The Debian packages of the image, made by `mkimage lock`.\n"
                       "# name=version architecture sha256 size file\n"
                       "date " +
                       std::to_string(lock.date) + "\n";
    for (const LockedPackage& package : lock.packages)
        text += package.name + "=" + package.version + " " + package.architecture + " " + package.sha256 + " " +
                std::to_string(package.size) + " " + package.filename + "\n";
    return text;
}

} // namespace image
