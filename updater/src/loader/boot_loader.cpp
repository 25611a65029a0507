#include "updater/boot_loader.hpp"

#include <filesystem>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/grub_env.hpp"
#include "base/log.hpp"
#include "updater/boot_disk.hpp"
#include "updater/boot_text.hpp"
#include "updater/loader_files.hpp"
#include "updater/loader_places.hpp"
#include "updater/sysroot.hpp"

namespace updater {

namespace json = base::json;

namespace {

constexpr std::size_t max_command_line = 64 * 1024;

void require_good_boot(const Paths& paths) {
    const std::string booted = kernel_argument(base::read_file(paths.command_line, max_command_line), "atoll.rev");
    if (booted.empty() || base::GrubEnv::load(paths.grub_env).get("ok") != booted)
        throw base::Error("the booted release has not been found good: its boot loader is not installed");
}

class LoaderUpdate {
public:
    LoaderUpdate(const Paths& paths, LoaderJob job)
        : paths_(paths), job_(job), grub_(paths.boot + "/grub"), disk_(find_boot_disk(paths.boot)),
          carried_(CarriedLoader::load(paths.boot_loader)), known_(loaders_in(grub_)) {
        if (carried_)
            known_[carried_->manifest.id] = carried_->manifest;
        if (disk_.bios_boot)
            bios_.emplace(disk_.device, *disk_.bios_boot, job != LoaderJob::look);
        if (!disk_.esp.empty())
            esp_.emplace(disk_.esp, job != LoaderJob::look);
        look();
    }

    json::object run() {
        if (job_ != LoaderJob::look)
            update();
        json::object answer = report();
        if (job_ != LoaderJob::look) {
            answer["changed"] = json::array(changed_.begin(), changed_.end());
            answer["removed"] = json::array(removed_.begin(), removed_.end());
        }
        if (esp_)
            esp_->unmount();
        return answer;
    }

private:
    void look() {
        bios_found_ = bios_ ? bios_->look(known_) : InstalledLoader{};
        esp_found_ = esp_ ? look_at_efi(esp_->path(), known_) : InstalledLoader{};
    }
    bool is_current(const InstalledLoader& found) const {
        return found.state == LoaderState::absent || (carried_ && found.id == carried_->manifest.id);
    }
    /// Of a boot loader that is on the disk: what its images would read.
    std::string damage(const InstalledLoader& found) const {
        return found.id.empty() ? "" : damaged_file(grub_, known_.at(found.id));
    }
    bool is_older_than(const InstalledLoader& found) const {
        return !found.id.empty() && compare_versions(carried_->manifest.version, known_.at(found.id).version) < 0;
    }

    /// Why there is nothing to be done here by us; empty: there is no reason.
    std::string refusal() const {
        if (!carried_)
            return "the booted image carries no boot loader";
        if (bios_found_.state == LoaderState::foreign)
            return fmt::format("{}: another boot loader: {}", disk_.device, bios_found_.detail);
        if (esp_found_.state == LoaderState::foreign)
            return fmt::format("{}: another boot loader: {}", disk_.esp, esp_found_.detail);
        if (!bios_ && !esp_)
            return disk_.device + ": neither a BIOS boot partition nor an ESP of ours";
        return {};
    }
    std::string_view verdict() const {
        if (!carried_)
            return "none";
        if (!refusal().empty())
            return "refused";
        if (is_current(bios_found_) && is_current(esp_found_) && damaged_file(grub_, carried_->manifest).empty())
            return "current";
        return is_older_than(bios_found_) || is_older_than(esp_found_) ? "older" : "available";
    }

    void update() {
        if (const std::string why = refusal(); !why.empty())
            throw base::Error(why);
        if (verdict() == "older" && job_ != LoaderJob::downgrade)
            throw base::Error(fmt::format("{} is older than what is installed; to install it all the same, allow a "
                                          "downgrade",
                                          carried_->manifest.id));
        if (verdict() != "current")
            install();
        remove_unused();
    }

    void install() {
        if (!is_current(esp_found_))
            prepare_efi(esp_->path(), *carried_); // before anything else is changed
        install_loader_files(grub_, *carried_);
        flush_boot(paths_.boot, paths_.root); // GRUB reads without the journal
        verify_loader_files(grub_, carried_->manifest);
        if (!is_current(bios_found_)) {
            base::with_context("boot loader for BIOS", [&] { bios_->install(*carried_); });
            changed_.emplace_back("bios");
        }
        if (!is_current(esp_found_)) {
            base::with_context("boot loader for UEFI", [&] { install_efi(esp_->path(), *carried_); });
            changed_.emplace_back("esp");
        }
        if (changed_.empty())
            changed_.emplace_back("files");
        look();
        if (!is_current(bios_found_) || !is_current(esp_found_))
            throw base::Error(EIO, disk_.device + ": after the update it is not the new boot loader that is found");
        base::log_notice("boot loader {} installed", carried_->manifest.id);
    }

    void remove_unused() {
        std::set<std::string> needed{carried_->manifest.id, bios_found_.id, esp_found_.id};
        if (bios_)
            needed.insert(bios_->spare(known_));
        // An image that is not known may read any of them.
        if (bios_found_.state == LoaderState::unknown || esp_found_.state == LoaderState::unknown)
            return;
        removed_ = remove_other_loaders(grub_, needed);
        if (!removed_.empty())
            flush_boot(paths_.boot, paths_.root);
    }

    json::object describe(const InstalledLoader& found) const {
        json::object object{{"state", to_string(found.state)}};
        const std::string damaged = damage(found);
        if (!damaged.empty())
            object["state"] = "damaged";
        if (!found.id.empty()) {
            object["id"] = found.id;
            object["version"] = known_.at(found.id).version;
        }
        if (!found.detail.empty() || !damaged.empty())
            object["detail"] = damaged.empty() ? found.detail : damaged + " is missing or damaged";
        return object;
    }
    json::object report() const {
        json::object answer{{"disk", disk_.device},
                            {"firmware", std::filesystem::exists("/sys/firmware/efi") ? "uefi" : "bios"},
                            {"bios", describe(bios_found_)},
                            {"esp", describe(esp_found_)},
                            {"update", verdict()}};
        if (const std::string why = refusal(); !why.empty())
            answer["reason"] = why;
        if (carried_)
            answer["carried"] = json::object{{"id", carried_->manifest.id}, {"version", carried_->manifest.version}};
        const std::string booted_by =
            kernel_argument(base::read_file(paths_.command_line, max_command_line), "atoll.loader");
        if (base::is_boot_loader_id(booted_by))
            answer["booted_by"] = booted_by;
        return answer;
    }

    const Paths& paths_;
    LoaderJob job_;
    std::string grub_;
    BootDisk disk_;
    std::optional<CarriedLoader> carried_;
    KnownLoaders known_;
    std::optional<BiosArea> bios_;
    std::optional<MountedEsp> esp_;
    InstalledLoader bios_found_, esp_found_;
    std::vector<std::string> changed_, removed_;
};

} // namespace

json::object run_loader_job(const Paths& paths, LoaderJob job) {
    if (job != LoaderJob::look)
        require_good_boot(paths); // before a disk is opened for writing
    return LoaderUpdate(paths, job).run();
}

bool answer_loader_job(const Paths& paths, LoaderJob job) {
    json::object answer;
    try {
        answer["result"] = run_loader_job(paths, job);
    } catch (const std::exception& error) {
        const std::string text = plain_text(base::error_chain(error), 2000);
        if (job != LoaderJob::look)
            base::log_error("boot loader: {}", text);
        answer["error"] = text;
    }
    base::write_durable(paths.boot_loader_answer, json::serialize(answer), 0600);
    return answer.contains("result");
}

} // namespace updater
