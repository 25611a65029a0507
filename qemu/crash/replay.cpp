#include "crash/replay.hpp"

#include <random>

#include "base/error.hpp"
#include "crash/cross_check.hpp"
#include "crash/damage.hpp"

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

/// /etc before and after is compared where nothing but the update changes it.
bool compares_etc(const Job& job) {
    return job.judged && job.name != first_boot;
}

} // namespace

struct Replay::Impl {
    Recording recording;
    ReplayOptions options;
    MappedFile base{recording.base()};
    MappedFile log_file{recording.log()};
    std::vector<LogEntry> log = read_write_log(log_file.bytes());
    Disk disk{base.bytes(), read_partitions(base.bytes())};
    Sample around_boot{(options.boots + 1) / 2, options.thoroughness.seed};
    Sample any{options.boots / 2, options.thoroughness.seed + 1};
    Sample dead{options.dead_boots, options.thoroughness.seed + 2};
    Sample compared{options.comparisons, options.thoroughness.seed + 3};

    /// Whether the last write of this state went to /boot.
    bool writes_boot(const State& state) const {
        const Extent& boot = disk.extents()[find_extent(disk.extents(), "atoll-boot")];
        return log[state.entry].sector - boot.first < boot.sectors;
    }
    void choose_from(const State& state, const std::string& where, const Verdict& verdict) {
        const auto make = [&] {
            return choose(disk, where, verdict.revision);
        };
        if (!verdict.boot.empty()) {
            dead.offer(make);
            return;
        }
        if (writes_boot(state))
            around_boot.offer(make);
        else
            any.offer(make);
        compared.offer(make);
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
    report.name = it.options.stock ? "stock ostree admin deploy" : "atoll";
    StateWalk walk(it.log, it.disk, it.options.thoroughness);
    Checker checker(it.disk, it.recording, it.log,
                    {.need_fallback = !it.options.stock, .scratch = it.recording.directory});
    for (std::size_t number = 0; number < it.recording.jobs.size(); ++number) {
        const Job& job = it.recording.jobs[number];
        if (it.options.on_job)
            it.options.on_job(job.name, number + 1, it.recording.jobs.size());
        if (!job.judged)
            continue;
        JobReport counted{.name = job.name};
        it.count(job, counted);
        checker.forget_allowed();
        walk.look_at(job.first, [&] {
            checker.allow_present();
            checker.require_if_there(marker_file, marker_text);
        });
        walk.look_at(job.last, [&] { checker.allow_present(); });
        walk.walk(job.first, job.last, [&](const State& state) {
            ++counted.states[state.kind];
            const Verdict verdict = checker.check(compares_etc(job));
            const std::string where = fmt::format("{}, {}", job.name, state.describe());
            if (!checker.last_was_known()) {
                ++counted.distinct;
                if (job.name != first_boot)
                    it.choose_from(state, where, verdict);
            }
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
    if (!it.options.stock)
        walk.look_at(it.log.size(), [&] {
            for (const std::string& name : overlooked(it.disk, checker, report.damages_tried))
                report.add_problem("the checker overlooks damage: " + name, "its own test");
        });
    report.fsck_runs = checker.fsck_runs();
    for (const Chosen& chosen : it.compared.chosen())
        cross_check(it.disk, chosen, it.recording, report);
    report.replay_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return report;
}

void Replay::boot(const qemu::Images& images, ReplayReport& report) {
    std::vector<BootPlan> plans;
    for (const Sample* sample : {&impl_->around_boot, &impl_->any, &impl_->dead})
        for (const Chosen& chosen : sample->chosen())
            plans.push_back(
                {.firmware = plans.size() % 2 == 0 ? qemu::Firmware::uefi : qemu::Firmware::bios, .chosen = chosen});
    report.boots = boot_all(images, impl_->disk, impl_->recording.base(), impl_->recording.directory, plans);
}

} // namespace crash
