#include "crash/replay.hpp"

#include <random>

#include "base/error.hpp"
#include "crash/cross_check.hpp"
#include "crash/damage.hpp"
#include "crash/lost_flushes.hpp"

namespace crash {
namespace {

/// A few of many, each with the same chance, without knowing how many there are.
class Sample {
public:
    Sample(std::size_t size, std::uint64_t seed) : size_(size), random_(seed) {}
    /// Calls `make` only when it is taken.
    void offer(const std::function<Chosen()>& make) {
        if (size_ == 0)
            return;
        ++seen_;
        if (chosen_.size() < size_)
            chosen_.push_back(make());
        else if (const std::uint64_t place = random_() % seen_; place < size_)
            chosen_[place] = make();
    }
    const std::vector<Chosen>& chosen() const noexcept { return chosen_; }

private:
    std::size_t size_;
    std::mt19937_64 random_;
    std::uint64_t seen_ = 0;
    std::vector<Chosen> chosen_;
};

/// What may be booted of one job.
struct JobSamples {
    Sample around_boot;
    Sample any;
};

/// One of each list in turn, until there are `count`.
std::vector<const Chosen*> take_in_turn(const std::vector<const std::vector<Chosen>*>& lists, std::size_t count) {
    std::vector<const Chosen*> taken;
    for (std::size_t round = 0, before = SIZE_MAX; taken.size() != before; ++round) {
        before = taken.size();
        for (const std::vector<Chosen>* list : lists)
            if (round < list->size() && taken.size() < count)
                taken.push_back(&(*list)[round]);
    }
    return taken;
}

/// /etc before and after is compared where nothing but the update changes it.
bool compares_etc(const Job& job) {
    return job.judged && job.name != first_boot;
}

bool is_loader_job(const Job& job) {
    return job.name.ends_with(loader_job);
}
/// After every cut it can be done once more.
constexpr const char* complete_loader_update =
    "updatectl bootloader update && updatectl bootloader status --json | grep -Eq '\"update\": *\"current\"'";

void allow_before_and_after(StateWalk& walk, const Job& job, Checker& checker) {
    checker.forget_allowed();
    walk.look_at(job.first, [&] {
        checker.allow_present();
        checker.require_if_there(marker_file, marker_text);
        checker.require_if_there(large_marker_file, large_marker_text());
    });
    walk.look_at(job.last, [&] { checker.allow_present(); });
}

} // namespace

struct Replay::Impl {
    Recording recording;
    ReplayOptions options;
    MappedFile base{recording.base()};
    MappedFile log_file{recording.log()};
    std::vector<LogEntry> log = read_write_log(log_file.bytes());
    Disk disk{base.bytes(), read_partitions(base.bytes())};
    std::vector<JobSamples> samples; ///< by job that is judged
    const Job* judged = nullptr;     ///< the one that is being judged
    Sample mended{(options.boots + 7) / 8, options.thoroughness.seed + 4};
    Sample half_written{(options.boots + 7) / 8, options.thoroughness.seed + 5};
    Sample dead{options.dead_boots, options.thoroughness.seed + 2};
    Sample compared{options.comparisons, options.thoroughness.seed + 3};

    /// Whether the last write of this state went to /boot.
    bool writes_boot(const State& state) const {
        const Extent& boot = disk.extents()[find_extent(disk.extents(), "atoll-boot")];
        return log[state.entry].sector - boot.first < boot.sectors;
    }
    void choose_from(const State& state, const std::string& where, const Verdict& verdict) {
        const auto make = [&] {
            Chosen chosen = choose(disk, where, verdict);
            if (is_loader_job(*judged))
                chosen.afterwards = complete_loader_update;
            return chosen;
        };
        if (!verdict.boot.empty()) {
            dead.offer(make);
            return;
        }
        if (verdict.mended)
            mended.offer(make);
        else if (verdict.is_esp_half_written && is_loader_job(*judged))
            half_written.offer(make);
        else if (writes_boot(state))
            samples.back().around_boot.offer(make);
        else
            samples.back().any.offer(make);
        if (!verdict.mended) // e2fsprogs does not mend it
            compared.offer(make);
    }
    void add_samples() {
        const std::uint64_t seed = options.thoroughness.seed + 10 * samples.size();
        // Enough when only half of the jobs have states of that sort.
        const std::size_t size = options.boots == 0 ? 0 : 2 * options.boots / recording.jobs.size() + 1;
        samples.push_back({Sample(size, seed), Sample(size, seed + 1)});
    }
    /// Last of all: the disk is no longer what the walk left.
    void lose_flushes(Checker& checker, ReplayReport& report) {
        for (const Job& job : recording.jobs) {
            if (!options.lost_flushes || (job.name != finalise_job && job.name != loader_job))
                continue;
            for (const std::uint64_t sector : std::vector<std::uint64_t>(disk.touched()))
                disk.write(sector, 0);
            disk.keep();
            StateWalk walk(log, disk, options.thoroughness);
            walk.walk(0, job.first, [](const State&) {});
            allow_before_and_after(walk, job, checker);
            report.lost_flushes.push_back(replay_with_lost_flushes(
                job, log, disk, checker, Thoroughness::of_lost_flushes(options.thoroughness.seed),
                options.each_lost_flush));
        }
    }
    void count(const Job& job, JobReport& report) const {
        for (std::uint64_t i = job.first; i < job.last; ++i) {
            report.writes += log.at(i).sectors != 0 ? 1U : 0U;
            report.flushes += log.at(i).flush ? 1U : 0U;
        }
    }
};

Replay::Replay(Recording recording, ReplayOptions options)
    : impl_(new Impl{.recording = std::move(recording), .options = std::move(options)}) {}
Replay::~Replay() = default;

ReplayReport Replay::run() {
    Impl& it = *impl_;
    const auto start = std::chrono::steady_clock::now();
    ReplayReport report;
    report.name = it.options.stock         ? "stock ostree admin deploy"
                  : it.options.has_to_fail ? "atoll with an updater that never flushes /boot"
                                           : "atoll";
    report.has_to_fail = it.options.has_to_fail;
    StateWalk walk(it.log, it.disk, it.options.thoroughness);
    Checker checker(it.disk, it.recording, it.log,
                    {.need_fallback = !it.options.stock, .scratch = it.recording.directory});
    for (std::size_t number = 0; number < it.recording.jobs.size(); ++number) {
        const Job& job = it.recording.jobs[number];
        it.judged = &job;
        if (it.options.on_job)
            it.options.on_job(job.name, number + 1, it.recording.jobs.size());
        if (!job.judged || (!it.options.only_job.empty() && job.name != it.options.only_job))
            continue;
        JobReport counted{.name = job.name};
        it.count(job, counted);
        it.add_samples();
        allow_before_and_after(walk, job, checker);
        walk.walk(job.first, job.last, [&](const State& state) {
            ++counted.states[state.kind];
            const Verdict verdict = checker.check(compares_etc(job));
            const std::string where = fmt::format("{}, {}", job.name, state.describe());
            if (!checker.last_was_known()) {
                ++counted.distinct;
                if (job.name != first_boot)
                    it.choose_from(state, where, verdict);
            }
            counted.mended += verdict.mended ? 1U : 0U;
            counted.do_not_boot += verdict.boot.empty() ? 0U : 1U;
            counted.damaged += verdict.boot.empty() && !verdict.damage.empty() ? 1U : 0U;
            report.do_not_boot_by_loader_alone += verdict.boots_by_loader_alone ? 0U : 1U;
            for (const auto* list : {&verdict.boot, &verdict.damage})
                for (const std::string& text : *list)
                    report.add_problem(text, where);
        });
        report.jobs.push_back(std::move(counted));
    }
    // A good disk with everything on it, as allowed by the last job.
    if (!it.options.stock && !it.options.has_to_fail)
        walk.look_at(it.log.size(), [&] {
            for (const std::string& name : overlooked(it.disk, checker, report.damages_tried))
                report.add_problem("the checker overlooks damage: " + name, "its own test");
        });
    report.fsck_runs = checker.fsck_runs();
    report.bios_areas = checker.loaders().bios_areas();
    report.esps = checker.loaders().esps();
    for (const Chosen& chosen : it.compared.chosen())
        cross_check(it.disk, chosen, it.recording, report);
    it.lose_flushes(checker, report);
    report.replay_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return report;
}

void Replay::boot(const qemu::Images& images, ReplayReport& report, unsigned machines) {
    std::vector<const std::vector<Chosen>*> lists{&impl_->mended.chosen(), &impl_->half_written.chosen()};
    for (const JobSamples& job : impl_->samples)
        lists.push_back(&job.around_boot.chosen());
    for (const JobSamples& job : impl_->samples)
        lists.push_back(&job.any.chosen());
    std::vector<const Chosen*> taken = take_in_turn(lists, impl_->options.boots);
    for (const Chosen& chosen : impl_->dead.chosen())
        taken.push_back(&chosen);
    std::vector<BootPlan> plans;
    for (const Chosen* chosen : taken)
        plans.push_back(
            {.firmware = plans.size() % 2 == 0 ? qemu::Firmware::uefi : qemu::Firmware::bios, .chosen = *chosen});
    report.boots = boot_all(images, impl_->disk, impl_->recording.base(), impl_->recording.directory, plans, machines,
                            impl_->options.on_boot);
}

} // namespace crash
