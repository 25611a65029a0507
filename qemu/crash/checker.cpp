#include "crash/checker.hpp"

#include "base/error.hpp"
#include "torn_commit.hpp"
#include "torn_superblock.hpp"

namespace crash {
namespace {

constexpr const char* boot_name = "atoll-boot";
constexpr const char* root_name = "atoll-root";

/// Everything that was ever in the journal is metadata, and nothing else is (data=ordered): the sectors that the blocks
/// named in descriptors have in place. Cheaper than asking libext2fs what belongs to files, and it cannot miss a
/// change, as metadata changes through the journal only; the superblock is added.
std::set<std::uint64_t> metadata_of(const std::vector<LogEntry>& log, const Extent& where) {
    constexpr std::uint64_t block_sectors = 8;
    std::set<std::uint64_t> sectors;
    for (std::uint64_t i = 0; i < 2 * block_sectors; ++i)
        sectors.insert(where.first + i);
    for (const LogEntry& entry : log) {
        if (entry.data == nullptr || entry.sector - where.first >= where.sectors)
            continue;
        for (std::uint64_t at = 0; at + block_sectors <= entry.sectors; at += block_sectors)
            for (const std::uint64_t block : journal_targets(entry.data + at * sector_size))
                for (std::uint64_t i = 0; i < block_sectors; ++i)
                    if (block < where.sectors / block_sectors)
                        sectors.insert(where.first + block * block_sectors + i);
    }
    return sectors;
}

} // namespace

std::size_t find_extent(const std::vector<Extent>& extents, const std::string& name) {
    for (std::size_t i = 0; i < extents.size(); ++i)
        if (extents[i].name == name)
            return i;
    throw base::Error("disk: no partition " + name);
}

namespace {

class PartitionBytes final : public init::DeviceBytes {
public:
    PartitionBytes(Disk& disk, const Extent& where) : disk_(disk), where_(where) {}
    bool read(std::uint64_t offset, std::span<std::uint8_t> into) noexcept override {
        if (!fits(offset, into.size()))
            return false;
        disk_.read(where_.first + offset / sector_size, into.size() / sector_size, into.data());
        return true;
    }
    bool write(std::uint64_t offset, std::span<const std::uint8_t> bytes) noexcept override {
        if (!fits(offset, bytes.size()))
            return false;
        for (std::size_t i = 0; i < bytes.size() / sector_size; ++i)
            disk_.write(where_.first + offset / sector_size + i,
                        disk_.contents().number_copy(bytes.data() + i * sector_size));
        return true;
    }

private:
    bool fits(std::uint64_t offset, std::size_t size) const noexcept {
        return offset % sector_size == 0 && size % sector_size == 0 &&
               offset / sector_size + size / sector_size <= where_.sectors;
    }
    Disk& disk_;
    const Extent& where_;
};

bool mend_superblock(Disk& disk, const Extent& where) {
    constexpr std::uint64_t first = init::ext4_superblock_offset / sector_size;
    std::array<std::uint8_t, init::ext4_superblock_size> bytes{};
    disk.read(where.first + first, bytes.size() / sector_size, bytes.data());
    if (!init::mend_torn_superblock(std::span(bytes)))
        return false;
    for (std::size_t i = 0; i < bytes.size() / sector_size; ++i)
        disk.write(where.first + first + i, disk.contents().number_copy(bytes.data() + i * sector_size));
    return true;
}

} // namespace

bool mend_torn(Disk& disk, const Extent& where) {
    const bool super = mend_superblock(disk, where);
    PartitionBytes bytes(disk, where);
    return init::mend_torn_commit(bytes) || super;
}

Checker::Checker(Disk& disk, const Recording& recording, const std::vector<LogEntry>& log, Options options)
    : disk_(disk), options_(std::move(options)), boot_extent_(find_extent(disk.extents(), boot_name)),
      root_extent_(find_extent(disk.extents(), root_name)), loaders_(disk),
      boot_journal_(disk, disk.extents()[boot_extent_]), root_journal_(disk, disk.extents()[root_extent_]),
      boot_fsck_(disk.extents()[boot_extent_], recording.base(), options_.scratch),
      root_fsck_(disk.extents()[root_extent_], recording.base(), options_.scratch) {
    boot_fsck_.add_metadata(metadata_of(log, disk.extents()[boot_extent_]));
    root_fsck_.add_metadata(metadata_of(log, disk.extents()[root_extent_]));
}

const Checker::Boot& Checker::boot() {
    const auto [found, is_new] = boots_.try_emplace(disk_.fingerprint(boot_extent_));
    Boot& boot = found->second;
    if (!is_new)
        return boot;
    const Extent& where = disk_.extents()[boot_extent_];
    try {
        const Ext4 fs(disk_, where, Ext4::Reader::grub);
        for (const auto& [id, manifest] : loaders_.allowed())
            boot.loader_damage[id] = damaged_loader_file(fs, manifest);
        boot.view = view_as_grub(fs, kernels_);
        boot.loader_alone = view_as_grub(fs, kernels_, true);
    } catch (const std::exception& error) {
        boot.view.damage = base::error_chain(error);
    }
    const std::size_t mark = disk_.mark();
    try {
        boot.mended = mend_torn(disk_, where);
        boot_journal_.recover(disk_);
        boot.damage = boot_fsck_.check(disk_);
    } catch (const std::exception& error) {
        boot.damage = base::error_chain(error);
    }
    disk_.take_back(mark);
    return boot;
}

const Checker::Root& Checker::root() {
    const auto [found, is_new] = roots_.try_emplace(disk_.fingerprint(root_extent_));
    Root& root = found->second;
    if (!is_new)
        return root;
    root.view = std::make_shared<RootView>();
    const std::size_t mark = disk_.mark();
    try {
        root.mended = mend_torn(disk_, disk_.extents()[root_extent_]);
        root_journal_.recover(disk_);
        if (std::string damage = root_fsck_.check(disk_); !damage.empty())
            root.damage.push_back(std::move(damage));
        root.view =
            std::make_shared<RootView>(reader_.read(Ext4(disk_, disk_.extents()[root_extent_], Ext4::Reader::kernel)));
    } catch (const std::exception& error) {
        root.damage.push_back(base::error_chain(error));
    }
    disk_.take_back(mark);
    root.damage.insert(root.damage.end(), root.view->damage.begin(), root.view->damage.end());
    return root;
}

void Checker::allow_present() {
    const std::size_t mark = disk_.mark();
    boot_journal_.recover(disk_);
    loaders_.allow_present(manifests_in(Ext4(disk_, disk_.extents()[boot_extent_], Ext4::Reader::kernel)));
    disk_.take_back(mark);
    boots_.clear(); // judged by what was allowed then
    for (const auto& [name, deployment] : root().view->deployments)
        etc_[name].push_back(deployment.etc);
}

void Checker::forget_allowed() {
    loaders_.forget_allowed();
    etc_.clear();
}

void Checker::require_if_there(const std::string& path, const std::string& content) {
    if (reader_.required.contains(path))
        return;
    const std::size_t mark = disk_.mark();
    root_journal_.recover(disk_);
    const bool there = reader_.has(Ext4(disk_, disk_.extents()[root_extent_], Ext4::Reader::kernel), path, content);
    disk_.take_back(mark);
    // What was judged before did not know of it.
    if (there) {
        reader_.required[path] = content;
        roots_.clear();
    }
}

/// Why this entry would not start a whole system; empty when it would.
std::string Checker::why_not(const BootEntry* entry, const Root& root) const {
    if (entry == nullptr)
        return "GRUB finds nothing to boot";
    if (!entry->damage.empty())
        return fmt::format("GRUB boots entry {}, but {}", entry->version, entry->damage);
    const auto link = root.view->links.find(entry->ostree);
    if (link == root.view->links.end())
        return fmt::format("GRUB boots entry {}, but {} leads nowhere", entry->version, entry->ostree);
    if (const DeploymentView& deployment = root.view->deployments.at(link->second); !deployment.damage.empty())
        return fmt::format("GRUB boots entry {}, but deployment {}: {}", entry->version, link->second,
                           deployment.damage);
    return {};
}

Verdict Checker::judge(const Boot& boot, const Root& root, bool compare_etc) {
    Verdict verdict;
    verdict.mended = boot.mended || root.mended;
    judge_loaders(boot, verdict);
    if (!boot.view.damage.empty())
        verdict.boot.push_back(boot.view.damage);
    const BootEntry* next = boot.view.next();
    if (std::string why = why_not(next, root); !why.empty())
        verdict.boot.push_back(std::move(why));
    verdict.boots_by_loader_alone = boot.loader_alone.damage.empty() && why_not(boot.loader_alone.next(), root).empty();
    if (options_.need_fallback) {
        if (std::string why = why_not(boot.view.fallback(), root); !why.empty())
            verdict.damage.push_back("when the tries are used up: " + why);
        const BootEntry* good = boot.view.with_revision(boot.view.ok);
        if (std::string why = why_not(good != nullptr && good->present ? good : nullptr, root); !why.empty())
            verdict.damage.push_back("the revision that is good: " + why);
        for (const BootEntry& entry : boot.view.entries)
            if (std::string why = why_not(&entry, root); !why.empty())
                verdict.damage.push_back("an entry that can be chosen: " + why);
    }
    if (!boot.damage.empty())
        verdict.damage.push_back(boot.damage);
    verdict.damage.insert(verdict.damage.end(), root.damage.begin(), root.damage.end());
    if (next != nullptr && verdict.boot.empty()) {
        verdict.revision = next->revision;
        verdict.deployment = root.view->links.at(next->ostree);
    }
    if (compare_etc)
        add_changed_etc(boot, root, verdict.damage);
    return verdict;
}

/// By either firmware: a boot loader that was there before or is afterwards, and everything that it reads itself.
void Checker::judge_loaders(const Boot& boot, Verdict& verdict) {
    const LoaderChecker::Started bios = loaders_.by_bios();
    const LoaderChecker::Started uefi = loaders_.by_uefi();
    verdict.bios_loader = bios.id;
    verdict.uefi_loader = uefi.id;
    verdict.is_esp_half_written = loaders_.is_half_written();
    std::set<std::string> reasons;
    for (const LoaderChecker::Started& started : {bios, uefi}) {
        const auto files = boot.loader_damage.find(started.id);
        if (!started.damage.empty())
            reasons.insert(started.damage);
        else if (files != boot.loader_damage.end())
            reasons.insert(files->second);
    }
    reasons.erase("");
    verdict.boot.insert(verdict.boot.end(), reasons.begin(), reasons.end());
    if (!loaders_.esp_damage().empty())
        verdict.damage.push_back(loaders_.esp_damage());
}

/// /etc of every deployment that an entry leads to, not of the next one alone: a rollback is to find its own.
void Checker::add_changed_etc(const Boot& boot, const Root& root, std::vector<std::string>& damage) const {
    std::set<std::string> seen;
    for (const BootEntry& entry : boot.view.entries) {
        const auto link = root.view->links.find(entry.ostree);
        if (link == root.view->links.end() || !seen.insert(link->second).second)
            continue;
        const DeploymentView& deployment = root.view->deployments.at(link->second);
        if (!deployment.damage.empty())
            continue; // said already
        const auto allowed = etc_.find(link->second);
        if (allowed == etc_.end() ||
            std::find(allowed->second.begin(), allowed->second.end(), deployment.etc) == allowed->second.end())
            damage.push_back("/etc of " + link->second + " is neither as before nor as after");
    }
}

Verdict Checker::check(bool compare_etc) {
    last_known_ = !verdicts_.try_emplace(disk_.fingerprint()).second;
    return judge(boot(), root(), compare_etc);
}

} // namespace crash
