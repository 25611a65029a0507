#include "runtime/schedule.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

#include "base/error.hpp"

namespace engine::runtime {

namespace {

/// struct sched_attr of linux/sched/types.h, which cannot be included beside glibc's sched.h.
struct SchedulingAttributes {
    std::uint32_t size = sizeof(SchedulingAttributes);
    std::uint32_t policy = 0;
    std::uint64_t flags = 0;
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::uint64_t runtime = 0, deadline = 0, period = 0;
    std::uint32_t least_utilisation = 0, most_utilisation = 0;
};
static_assert(sizeof(SchedulingAttributes) == 56);

void set_affinity(pid_t pid, const std::vector<bool>& cpus, const char* json_path) {
    if (cpus.empty())
        return;
    constexpr std::size_t bits = sizeof(unsigned long) * CHAR_BIT;
    std::vector<unsigned long> mask((cpus.size() + bits - 1) / bits);
    for (std::size_t cpu = 0; cpu < cpus.size(); ++cpu)
        if (cpus[cpu])
            mask[cpu / bits] |= 1UL << cpu % bits;
    // glibc's cpu_set_t ends at 1024 CPUs.
    base::check(syscall(SYS_sched_setaffinity, pid, mask.size() * sizeof(unsigned long), mask.data()),
                std::string(json_path) + ": sched_setaffinity");
}

} // namespace

void set_scheduling(pid_t pid, const Process& process) {
    if (process.scheduler) {
        const Scheduler& wanted = *process.scheduler;
        SchedulingAttributes attributes;
        attributes.policy = wanted.policy;
        attributes.flags = wanted.flags;
        attributes.nice = wanted.nice;
        attributes.priority = wanted.priority;
        attributes.runtime = wanted.runtime;
        attributes.deadline = wanted.deadline;
        attributes.period = wanted.period;
        base::check(syscall(SYS_sched_setattr, pid, &attributes, 0), "process.scheduler: sched_setattr");
    }
    if (process.io_priority)
        base::check(syscall(SYS_ioprio_set, io_priority::who_process, pid, *process.io_priority),
                    "process.ioPriority: ioprio_set");
}

void set_initial_affinity(const CpuAffinity& affinity) {
    set_affinity(0, affinity.initial, "process.execCPUAffinity.initial");
}

void set_final_affinity(pid_t pid, const CpuAffinity& affinity) {
    set_affinity(pid, affinity.final, "process.execCPUAffinity.final");
}

} // namespace engine::runtime
