#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <set>

#include "base/error.hpp"
#include "base/process.hpp"
#include "image/packages.hpp"

namespace image {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(separator), text.size());
        std::string_view part = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        while (!part.empty() && part.front() == ' ')
            part.remove_prefix(1);
        // "name:any (>= 1) [arch]": the name is enough, versions of one archive fit each other
        part = part.substr(0, part.find_first_of(" (:["));
        if (!part.empty())
            parts.emplace_back(part);
    }
    return parts;
}

void add_dependencies(std::string_view text, PackageRecord& record) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(','), text.size());
        if (std::vector<std::string> alternatives = split(text.substr(0, end), '|'); !alternatives.empty())
            record.depends.push_back(std::move(alternatives));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

void read_field(std::string_view key, std::string_view value, PackageRecord& record, const std::string& name) {
    if (key == "Package")
        record.package.name = value;
    else if (key == "Version")
        record.package.version = value;
    else if (key == "Architecture")
        record.package.architecture = value;
    else if (key == "SHA256")
        record.package.sha256 = value;
    else if (key == "Filename")
        record.package.filename = value;
    else if (key == "Depends" || key == "Pre-Depends")
        add_dependencies(value, record);
    else if (key == "Provides")
        record.provides = split(value, ',');
    else if (key == "Size") {
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), record.package.size);
        if (error != std::errc{} || end != value.data() + value.size())
            throw base::Error(name + ": " + record.package.name + ": bad Size");
    }
}

/// What has been chosen so far, and what is still to look up.
class Resolution {
public:
    Resolution(const BaseSpec& spec, const PackageSource& source)
        : source_(source), without_(spec.without.begin(), spec.without.end()) {
        for (const std::string& name : spec.packages)
            want(name, "the image");
    }

    void run() {
        while (!wanted_.empty()) {
            std::vector<std::string> names;
            for (const auto& [name, asker] : wanted_)
                names.push_back(name);
            for (PackageRecord& record : source_(names)) {
                if (wanted_.contains(record.package.name))
                    chosen_.emplace(record.package.name, std::move(record));
            }
            const std::map<std::string, std::string> asked = std::exchange(wanted_, {});
            for (const auto& [name, asker] : asked)
                follow(name, asker);
        }
    }

    std::vector<LockedPackage> packages() const {
        std::vector<LockedPackage> packages;
        for (const auto& [name, record] : chosen_)
            packages.push_back(record.package);
        return packages;
    }

private:
    void want(const std::string& name, const std::string& asker) {
        if (!chosen_.contains(name) && !without_.contains(name))
            wanted_.emplace(name, asker);
    }

    bool is_settled(const std::string& name) const {
        return without_.contains(name) || chosen_.contains(name) || wanted_.contains(name);
    }

    void follow(const std::string& name, const std::string& asker) {
        const auto found = chosen_.find(name);
        if (found == chosen_.end())
            throw base::Error("package " + name + " (asked for by " + asker +
                              "): apt knows no such package; run apt-get update, or name it under `without`");
        for (const std::vector<std::string>& alternatives : found->second.depends) {
            if (std::none_of(alternatives.begin(), alternatives.end(),
                             [&](const auto& other) { return is_settled(other); }))
                want(alternatives.front(), name);
        }
    }

    const PackageSource& source_;
    std::set<std::string> without_;
    std::map<std::string, std::string> wanted_; ///< name and who asked
    std::map<std::string, PackageRecord> chosen_;
};

std::vector<PackageRecord> ask_apt(const std::vector<std::string>& names) {
    std::vector<std::string> argv{"apt-cache", "show", "--no-all-versions", "-q"};
    argv.insert(argv.end(), names.begin(), names.end());
    base::RunOptions options;
    options.spawn.environment = {"LC_ALL=C.UTF-8"};
    options.output_limit = 64UL * 1024 * 1024;
    // Exit code 100 when one of the names is unknown; the resolution says which.
    return parse_packages(base::run(argv, options).output, "apt-cache");
}

} // namespace

std::vector<PackageRecord> parse_packages(std::string_view text, const std::string& name) {
    std::vector<PackageRecord> records;
    bool in_paragraph = false;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty()) {
            in_paragraph = false;
            continue;
        }
        if (line.front() == ' ' || line.front() == '\t')
            continue; // continued long text: none of ours
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos)
            throw base::Error(name + ": \"" + std::string(line) + "\" is no field");
        if (!std::exchange(in_paragraph, true))
            records.emplace_back();
        std::string_view value = line.substr(colon + 1);
        value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
        read_field(line.substr(0, colon), value, records.back(), name);
    }
    return records;
}

Lock resolve_packages(const BaseSpec& spec, const PackageSource& source, std::int64_t date) {
    Resolution resolution(spec, source);
    resolution.run();
    Lock lock{date, resolution.packages()};
    parse_lock(format_lock(lock), "the new lock"); // what apt says is checked like what a person wrote
    return lock;
}

Lock resolve_with_apt(const BaseSpec& spec) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return resolve_packages(spec, ask_apt, std::chrono::duration_cast<std::chrono::seconds>(now).count());
}

} // namespace image
