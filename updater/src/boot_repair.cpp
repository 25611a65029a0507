#include "updater/boot_repair.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "updater/sysroot.hpp"

namespace updater {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_entry = 64 * 1024;
constexpr std::size_t max_origin = 64 * 1024;

bool is_entry_name(const std::string& name) {
    return name.starts_with("ostree-") && name.ends_with(".conf");
}

std::vector<std::string> names_in(const std::string& directory) {
    std::vector<std::string> names;
    std::error_code error; // a directory that is not there has none
    for (const auto& item : fs::directory_iterator(directory, error))
        names.push_back(item.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

/// The link appears whole or not at all.
void replace_link(const std::string& target, const std::string& link) {
    const std::string temporary = link + ".new";
    ::unlink(temporary.c_str());
    base::check(::symlink(target.c_str(), temporary.c_str()), "make the link " + temporary);
    base::check(::rename(temporary.c_str(), link.c_str()), "rename " + temporary + " to " + link);
    base::sync_directory(fs::path(link).parent_path().string());
}

class Repair {
public:
    Repair(const Paths& paths, const std::string& booted) : paths_(paths), booted_(booted) {}

    std::vector<std::string> run() {
        // One that fails does not keep the others from being tried.
        for (const auto step : {&Repair::mend_loader, &Repair::put_damaged_entries_aside, &Repair::mend_links}) {
            try {
                (this->*step)();
            } catch (const std::exception& error) {
                base::log_error("repair of the boot files: {}", base::error_chain(error));
            }
        }
        return std::move(done_);
    }

private:
    std::string ostree() const { return (paths_.is_machine() ? "" : paths_.root) + "/ostree"; }

    /// Good entries below a loader directory, and whether one of them is the booted revision's.
    std::pair<std::size_t, bool> rate(const std::string& loader) const {
        std::size_t entries = 0;
        bool booted = false;
        for (const std::string& name : names_in(loader + "/entries")) {
            const auto entry = is_entry_name(name) ? read_entry(loader + "/entries/" + name) : std::nullopt;
            if (!entry)
                continue;
            ++entries;
            booted = booted || (!booted_.empty() && kernel_argument(entry->options, "atoll.rev") == booted_);
        }
        return {entries, booted};
    }

    static std::optional<BootEntry> read_entry(const std::string& path) {
        try {
            return BootEntry::parse(base::read_file(path, max_entry));
        } catch (const base::Error& error) {
            base::log_warning("{}", error.what());
            return std::nullopt;
        }
    }

    void mend_loader() {
        const std::string link = paths_.boot + "/loader";
        if (fs::is_directory(link + "/entries"))
            return;
        std::string best;
        std::pair<bool, std::size_t> best_rate;
        for (const char* name : {"loader.0", "loader.1"}) {
            const auto [entries, booted] = rate(paths_.boot + "/" + name);
            if (entries > 0 && (best.empty() || std::pair(booted, entries) > best_rate)) {
                best = name;
                best_rate = {booted, entries};
            }
        }
        if (best.empty())
            throw base::Error(fmt::format("{} leads nowhere, and there are no boot entries it could lead to", link));
        replace_link(best, link);
        done_.push_back(fmt::format("{} led nowhere and leads to {} again", link, best));
    }

    void put_damaged_entries_aside() {
        const std::string directory = paths_.boot + "/loader/entries";
        for (const std::string& name : names_in(directory)) {
            if (!is_entry_name(name) || read_entry(directory + "/" + name))
                continue;
            if (rate(paths_.boot + "/loader").first == 0)
                throw base::Error(fmt::format("no boot entry in {} can be read", directory));
            fs::rename(directory + "/" + name, directory + "/damaged-" + name);
            base::sync_directory(directory);
            done_.push_back(fmt::format("boot entry {} is damaged and was put aside", name));
        }
    }

    void mend_links() {
        const std::string directory = paths_.boot + "/loader/entries";
        for (const std::string& name : names_in(directory)) {
            const auto entry = is_entry_name(name) ? read_entry(directory + "/" + name) : std::nullopt;
            if (!entry)
                continue;
            try {
                mend_links_of(*entry);
            } catch (const std::exception& error) {
                base::log_error("{}: {}", name, base::error_chain(error));
            }
        }
    }

    /// "/ostree/boot.N/OSNAME/CHECKSUM/SERIAL" leads to "/ostree/deploy/OSNAME/deploy/DEPLOYMENT"; boot.N is a link to
    /// boot.N.0 or boot.N.1.
    void mend_links_of(const BootEntry& entry) {
        const std::string argument = kernel_argument(entry.options, "ostree");
        std::vector<std::string> parts;
        for (const fs::path& part : fs::path(argument))
            parts.push_back(part.string());
        const bool plain =
            parts.size() == 6 && parts[0] == "/" && parts[1] == "ostree" &&
            (parts[2] == "boot.0" || parts[2] == "boot.1") &&
            std::none_of(parts.begin(), parts.end(), [](const std::string& part) { return part == ".."; });
        if (!plain)
            throw base::Error(fmt::format("boot entry with ostree={}: not a path of ostree's", argument));
        const std::string link = fmt::format("{}/{}/{}/{}/{}", ostree(), parts[2], parts[3], parts[4], parts[5]);
        if (fs::is_directory(link))
            return;
        const std::string revision = kernel_argument(entry.options, "atoll.rev");
        const std::string deployment = find_deployment(parts[3], revision);
        if (deployment.empty())
            throw base::Error(
                fmt::format("ostree={} leads nowhere, and no deployment has revision {}", argument, revision));
        const std::string version = ostree() + "/" + parts[2];
        if (!fs::is_directory(version)) {
            const std::string subversion = fs::is_directory(version + ".1") ? parts[2] + ".1" : parts[2] + ".0";
            base::make_directories(ostree() + "/" + subversion);
            replace_link(subversion, version);
        }
        if (!fs::is_directory(link)) {
            base::make_directories(fs::path(link).parent_path().string());
            replace_link("../../../deploy/" + parts[3] + "/deploy/" + deployment, link);
        }
        done_.push_back(fmt::format("{} led nowhere and leads to {} again", argument, deployment));
    }

    std::string find_deployment(const std::string& os_name, const std::string& revision) const {
        const std::string directory = ostree() + "/deploy/" + os_name + "/deploy";
        constexpr std::string_view suffix = ".origin";
        for (std::string name : names_in(directory)) {
            if (!name.ends_with(suffix) || revision.empty())
                continue;
            const std::string text = base::read_file(directory + "/" + name, max_origin);
            name.resize(name.size() - suffix.size());
            if (text.find("\nrevision=" + revision + "\n") != std::string::npos &&
                fs::is_directory(directory + "/" + name))
                return name;
        }
        return {};
    }

    const Paths& paths_;
    const std::string& booted_;
    std::vector<std::string> done_;
};

} // namespace

std::optional<BootEntry> BootEntry::parse(std::string_view text) {
    if (std::count(text.begin(), text.end(), '\0') != 0)
        return std::nullopt;
    BootEntry entry;
    std::string version;
    const std::pair<std::string_view, std::string*> keys[] = {
        {"linux", &entry.linux}, {"initrd", &entry.initrd}, {"options", &entry.options}, {"version", &version}};
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::size_t space = line.find_first_of(" \t");
        if (space == std::string_view::npos)
            continue;
        const std::size_t value = std::min(line.find_first_not_of(" \t", space), line.size());
        for (const auto& [key, field] : keys) {
            if (line.substr(0, space) != key)
                continue;
            if (!field->empty())
                return std::nullopt;
            *field = line.substr(value);
        }
    }
    const bool whole = !entry.linux.empty() && !entry.initrd.empty() && !version.empty() &&
                       !kernel_argument(entry.options, "ostree").empty();
    return whole ? std::optional(std::move(entry)) : std::nullopt;
}

std::vector<std::string> repair_boot(const Paths& paths, const std::string& booted_revision) {
    std::vector<std::string> done = Repair(paths, booted_revision).run();
    if (!done.empty())
        flush_boot(paths.boot, paths.root);
    return done;
}

} // namespace updater
