#include "crash/grub_view.hpp"

#include <sstream>

#include "base/error.hpp"
#include "base/grub_env.hpp"
#include "base/sha256.hpp"

namespace crash {
namespace {

constexpr std::size_t entry_limit = 64 * 1024;
constexpr const char* environment = "/grub/grubenv";
constexpr const char* copy_of_good = "/grub/good";
constexpr std::size_t most_tries = 3;

bool only_digits(const std::string& text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

/// "value" of "key value more" with all that follows.
std::string rest_of(std::istringstream& line) {
    std::string all;
    for (std::string word; line >> word;)
        all += (all.empty() ? "" : " ") + word;
    return all;
}

std::string argument(const std::string& options, const std::string& name) {
    std::istringstream words(options);
    std::string found;
    for (std::string word; words >> word;)
        if (word.starts_with(name + "="))
            found = word.substr(name.size() + 1);
    return found;
}

/// `source` of one file, and keep_entry.
void read_entry(const Ext4& boot, Inode inode, std::vector<BootEntry>& entries) {
    std::istringstream text(boot.read(inode, entry_limit));
    BootEntry entry;
    std::string options;
    for (std::string row; std::getline(text, row);) {
        std::istringstream line(row);
        std::string key;
        line >> key;
        if (key == "version")
            line >> entry.version;
        else if (key == "options")
            options = rest_of(line);
        else if (key == "linux")
            line >> entry.kernel;
        else if (key == "initrd")
            line >> entry.initramfs;
    }
    if (!only_digits(entry.version) || entry.version.size() > 18 || entry.kernel.empty() || entry.initramfs.empty() ||
        options.empty())
        return;
    entry.revision = argument(options, "atoll.rev");
    entry.ostree = argument(options, "ostree");
    const unsigned long long number = std::stoull(entry.version);
    auto place = entries.begin();
    for (; place != entries.end(); ++place) {
        const unsigned long long listed = std::stoull(place->version);
        if (listed == number)
            return;
        if (number > listed)
            break;
    }
    entries.insert(place, entry);
}

void read_entries(const Ext4& boot, const std::string& directory, std::vector<BootEntry>& entries) {
    const std::optional<Inode> found = boot.resolve(directory);
    if (!found || !boot.status(*found).directory())
        return;
    for (const Name& file : boot.list(*found)) {
        if (!file.name.starts_with("ostree-") || !file.name.ends_with(".conf"))
            continue;
        try {
            const std::optional<Inode> inode = boot.resolve(file.name, *found);
            if (inode && boot.status(*inode).regular())
                read_entry(boot, *inode, entries);
        } catch (const base::Error&) {
            // GRUB says so, and goes on with the next.
        }
    }
}

/// libostree names the directory of a kernel by the digest of kernel and initramfs.
void look_at_kernel(const Ext4& boot, KernelDigests& known, BootEntry& entry) {
    try {
        const std::optional<Inode> kernel = boot.resolve(entry.kernel);
        const std::optional<Inode> initramfs = boot.resolve(entry.initramfs);
        entry.present = kernel && initramfs && boot.status(*kernel).regular() && boot.status(*initramfs).regular();
        if (!entry.present)
            return;
        const auto digest = known.try_emplace({boot.content_key(*kernel), boot.content_key(*initramfs)}).first;
        if (digest->second.empty()) {
            base::Sha256 both;
            both.update(boot.read(*kernel));
            both.update(boot.read(*initramfs));
            digest->second = both.finish_hex();
        }
        if (entry.kernel.find("-" + digest->second + "/") == std::string::npos)
            entry.damage = entry.kernel + " or its initramfs is not what was installed";
    } catch (const base::Error& error) {
        entry.present = true;
        entry.damage = error.what();
    }
}

void read_environment(const Ext4& boot, GrubView& view) {
    try {
        const std::optional<Inode> inode = boot.resolve(environment);
        if (!inode)
            throw base::Error("it is not there");
        const base::GrubEnv values = base::GrubEnv::parse(boot.read(*inode, base::GrubEnv::size));
        view.ok = values.get("ok");
        view.trial = values.get("trial");
        view.tries = values.get("tries");
        view.failed = values.get("failed");
    } catch (const base::Error& error) {
        view.damage = std::string(environment) + ": " + error.what();
        view.is_counted = false;
    }
}

/// When `ok` names no entry.
void read_copy_of_good(const Ext4& boot, GrubView& view) {
    try {
        if (const std::optional<Inode> inode = boot.resolve(copy_of_good))
            view.ok = base::GrubEnv::parse(boot.read(*inode, base::GrubEnv::size)).get("ok");
    } catch (const base::Error&) {
        // Then nothing is known to be good.
    }
}

} // namespace

const BootEntry* GrubView::with_revision(const std::string& revision) const {
    for (const BootEntry& entry : entries)
        if (entry.revision == revision)
            return &entry;
    return nullptr;
}

const BootEntry* GrubView::first_present(const std::vector<const BootEntry*>& order) const {
    for (const BootEntry* entry : order)
        if (entry != nullptr && entry->present)
            return entry;
    return nullptr;
}

/// take_try said no: the good one, the older ones, the newest.
std::vector<const BootEntry*> GrubView::back() const {
    std::vector<const BootEntry*> order{ok.empty() ? nullptr : with_revision(ok)};
    for (std::size_t i = 1; i < entries.size(); ++i)
        order.push_back(&entries[i]);
    order.push_back(&entries[0]);
    return order;
}

const BootEntry* GrubView::next() const {
    if (entries.empty())
        return nullptr;
    const std::string left = !is_counted ? "" : trial == entries[0].revision ? tries : std::to_string(most_tries);
    const bool good = !ok.empty() && entries[0].revision == ok;
    if (!failed.empty() && entries[0].revision == failed) {
        std::vector<const BootEntry*> order = back();
        if (good)
            order[0] = nullptr;
        return first_present(order);
    }
    if (!good && left != "3" && left != "2" && left != "1")
        return first_present(back());
    std::vector<const BootEntry*> order{&entries[0], ok.empty() ? nullptr : with_revision(ok)};
    for (std::size_t i = 1; i < entries.size(); ++i)
        order.push_back(&entries[i]);
    return first_present(order);
}

const BootEntry* GrubView::fallback() const {
    if (entries.empty())
        return nullptr;
    if (!ok.empty() && entries[0].revision == ok)
        return next();
    return first_present(back());
}

GrubView view_as_grub(const Ext4& boot, KernelDigests& known, bool loader_only) {
    GrubView view;
    read_environment(boot, view);
    read_entries(boot, "/loader/entries", view.entries);
    if (view.entries.empty() && !loader_only) {
        read_entries(boot, "/loader.1/entries", view.entries);
        read_entries(boot, "/loader.0/entries", view.entries);
    }
    if (view.ok.empty() || view.with_revision(view.ok) == nullptr)
        read_copy_of_good(boot, view);
    for (BootEntry& entry : view.entries)
        look_at_kernel(boot, known, entry);
    return view;
}

} // namespace crash
