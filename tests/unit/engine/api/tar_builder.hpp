// Writes tars by hand, also those no honest program would write.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace test {

struct TarEntry {
    std::string name;
    char type = '0'; ///< 0 file, 1 hard link, 2 symbolic link, 3 character device, 5 directory, 6 fifo
    std::string content;
    std::string link;
    unsigned mode = 0644;
    unsigned uid = 0;
    unsigned gid = 0;
    std::uint64_t mtime = 1'600'000'000;
    unsigned major = 0;
    unsigned minor = 0;
    std::map<std::string, std::string> pax{}; ///< records of an extended header
};

class TarBuilder {
public:
    TarBuilder& add(const TarEntry& entry) {
        if (!entry.pax.empty()) {
            std::string records;
            for (const auto& [key, value] : entry.pax)
                records += record(key, value);
            append({.name = "pax", .type = 'x', .content = records});
        }
        append(entry);
        return *this;
    }
    TarBuilder& file(const std::string& name, std::string_view content, unsigned mode = 0644) {
        return add({.name = name, .content = std::string(content), .mode = mode});
    }
    TarBuilder& directory(const std::string& name, unsigned mode = 0755) {
        return add({.name = name, .type = '5', .mode = mode});
    }
    TarBuilder& symlink(const std::string& name, const std::string& target) {
        return add({.name = name, .type = '2', .link = target});
    }
    TarBuilder& hardlink(const std::string& name, const std::string& target) {
        return add({.name = name, .type = '1', .link = target});
    }
    std::string build() const { return data_ + std::string(1024, '\0'); }

private:
    /// "LENGTH key=value\n", where LENGTH counts itself.
    static std::string record(const std::string& key, const std::string& value) {
        const std::string rest = " " + key + "=" + value + "\n";
        std::size_t length = rest.size() + 1;
        while (std::to_string(length).size() + rest.size() != length)
            length = std::to_string(length).size() + rest.size();
        return std::to_string(length) + rest;
    }
    static void octal(std::string& header, std::size_t at, std::size_t width, std::uint64_t value) {
        const std::string digits = fmt::format("{:0{}o}", value, width - 1);
        header.replace(at, digits.size(), digits);
    }
    void append(const TarEntry& entry) {
        std::string header(512, '\0');
        header.replace(0, std::min<std::size_t>(entry.name.size(), 100), entry.name.substr(0, 100));
        octal(header, 100, 8, entry.mode);
        octal(header, 108, 8, entry.uid);
        octal(header, 116, 8, entry.gid);
        octal(header, 124, 12, entry.content.size());
        octal(header, 136, 12, entry.mtime);
        header[156] = entry.type;
        header.replace(157, entry.link.size(), entry.link);
        header.replace(257, 8,
                       std::string("ustar\0"
                                   "00",
                                   8));
        octal(header, 329, 8, entry.major);
        octal(header, 337, 8, entry.minor);
        header.replace(148, 8, 8, ' ');
        std::uint64_t sum = 0;
        for (const char c : header)
            sum += static_cast<unsigned char>(c);
        octal(header, 148, 7, sum);
        header[154] = '\0';
        data_ += header + entry.content;
        data_.resize((data_.size() + 511) / 512 * 512, '\0');
    }
    std::string data_;
};

} // namespace test
