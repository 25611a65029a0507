// What a replay found, for people and for scripts.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "crash/states.hpp"

namespace crash {

/// A job of the machine, or the sum of several.
struct JobReport {
    std::string name;
    std::uint64_t writes = 0;
    std::uint64_t flushes = 0;
    std::map<Kind, std::uint64_t> states;
    std::uint64_t distinct = 0;    ///< different disks among them
    std::uint64_t mended = 0;      ///< states with a superblock or a commit that stage 1 has to mend
    std::uint64_t do_not_boot = 0; ///< states in which GRUB finds nothing whole
    std::uint64_t damaged = 0;     ///< states that boot, with something else lost or broken
    std::uint64_t all() const;
    void add(const JobReport& other);
};

struct Problem {
    std::string text;
    std::string first; ///< job and state where it was seen first
    std::uint64_t times = 0;
};

struct BootReport {
    std::string state; ///< job and state
    std::string firmware;
    std::string expected; ///< revision that the checker says boots; empty: none
    std::string booted;   ///< revision that runs and was found good; empty: none
    std::string problem;  ///< empty: as expected
    double seconds = 0;
};

/// A job replayed as if the disk had not obeyed flushes.
struct LostFlushesReport {
    std::string job;
    std::uint64_t states = 0; ///< without any of its flushes
    std::uint64_t bad = 0;    ///< of them, those that do not boot or are damaged: 0 is the checker's failure
    std::uint64_t flushes = 0;
    std::uint64_t flushes_needed = 0; ///< of them, those without which alone a state is bad
};

/// One recording, replayed.
struct ReplayReport {
    std::string name;
    std::vector<JobReport> jobs;
    std::vector<Problem> problems;
    std::vector<BootReport> boots;
    std::uint64_t do_not_boot_by_loader_alone = 0; ///< stock: with a grub.cfg that reads /loader/entries only
    std::uint64_t fsck_runs = 0;
    std::uint64_t bios_areas = 0;           ///< different contents of boot sector and BIOS boot partition
    std::uint64_t esps = 0;                 ///< different contents of the ESP
    std::uint64_t damages_tried = 0;        ///< done on purpose, to see whether the checker finds them
    std::uint64_t recoveries_compared = 0;  ///< with e2fsprogs' replay of the journal
    std::uint64_t repositories_checked = 0; ///< by `ostree fsck`
    std::vector<LostFlushesReport> lost_flushes;
    bool has_to_fail = false; ///< its updater is wrong on purpose
    double record_seconds = 0;
    double replay_seconds = 0;

    JobReport total() const;
    void add_problem(const std::string& text, const std::string& where);
    /// With `has_to_fail`: it was found out.
    bool holds() const;
};

std::string as_text(const ReplayReport& report);
std::string as_text(const BootReport& boot);
/// What one run of the program found; those that were not asked for are missing.
struct Reports {
    std::uint64_t seed = 1;
    bool reduced = false;
    ReplayReport ours;
    std::optional<ReplayReport> stock;
    std::optional<ReplayReport> hasty; ///< an updater that is wrong
    bool holds() const { return ours.holds() && (!hasty || hasty->holds()); }
};
/// {"seed":1,"reduced":true,"ours":{...},"stock":{...}|null,"hasty":{...}|null,"holds":true}
std::string as_json(const Reports& reports);

} // namespace crash
