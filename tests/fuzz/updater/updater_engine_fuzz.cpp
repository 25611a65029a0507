// What engined, init and the worker say.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.hpp"
#include "updater/boot_assessment.hpp"
#include "updater/health_watch.hpp"
#include "worker_job.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        updater::Judge judge{updater::Judge::Options{}};
        judge.observe(updater::HealthReport::parse(text, "health"), updater::Judge::Time(1));
    } catch (const base::Error&) {
    }
    try {
        updater::WorkerOutput output([](const base::json::object&) {});
        output.feed(text);
        output.finish({});
    } catch (const base::Error&) {
    }
    for (const std::string& line : updater::split_log_stream(text))
        for (const char c : line)
            if (c < ' ' || c > '~')
                __builtin_trap();
    updater::InitFailure::parse(text);
    return 0;
}
