// ocirun with its fault points armed by the environment:
//   OCIRUN_FAULT=POINT        the step of that name fails with EIO
//   OCIRUN_FAULT=POINT:kill   the process is killed there
//   OCIRUN_TRACE=FILE         every point is written there with its time, see fault_trace.hpp
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <ctime>

#include "base/fault_point.hpp"
#include "fault_trace.hpp"
#include "ocirun/program.hpp"

namespace {

char fault[64];
bool fault_kills = false;
ocirun_test::FaultTrace* trace = nullptr;

void record(const char* point) noexcept {
    if (trace == nullptr)
        return;
    const unsigned index = __atomic_fetch_add(&trace->count, 1U, __ATOMIC_RELAXED);
    if (index >= ocirun_test::FaultTrace::most)
        return;
    ocirun_test::FaultTrace::Entry& entry = trace->entries[index];
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    entry.nanoseconds =
        static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
    entry.pid = getpid();
    std::strncpy(entry.point, point, sizeof entry.point - 1);
}

int at_point(const char* point) noexcept {
    record(point);
    if (std::strcmp(point, fault) != 0)
        return 0;
    if (fault_kills)
        kill(getpid(), SIGKILL);
    return EIO;
}

void open_trace(const char* path) {
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(ocirun_test::FaultTrace)) < 0)
        std::abort();
    void* const memory = mmap(nullptr, sizeof(ocirun_test::FaultTrace), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory == MAP_FAILED)
        std::abort();
    trace = static_cast<ocirun_test::FaultTrace*>(memory);
}

} // namespace

int main(int argc, char** argv) {
    if (const char* const wanted = std::getenv("OCIRUN_FAULT")) {
        std::strncpy(fault, wanted, sizeof fault - 1);
        if (char* const colon = std::strchr(fault, ':')) {
            *colon = '\0';
            fault_kills = true;
        }
    }
    if (const char* const path = std::getenv("OCIRUN_TRACE"))
        open_trace(path);
    base::fault_hook = at_point;
    record("main");
    return ocirun::run_program(argc, argv);
}
