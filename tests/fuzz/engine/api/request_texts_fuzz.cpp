// The small texts of requests: filters, paths, times, detach keys; and the kernel's counter files.
#include "api/cgroup_stats.hpp"
#include "api/filters.hpp"
#include "api/raw_stream.hpp"
#include "api/router.hpp"
#include "api/time_text.hpp"

using namespace engine::api;

namespace {

template <typename F>
void refuse_politely(F&& action) {
    try {
        action();
    } catch (const HttpError&) {
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    refuse_politely([&] { Filters::parse(text); });
    refuse_politely([&] { split_version(text); });
    refuse_politely([&] { parse_timestamp(text, "since"); });
    refuse_politely([&] { DetachFilter(parse_detach_keys(text)).pass(text); });
    if (const auto time = parse_rfc3339(text); time && parse_rfc3339(rfc3339(*time)) != time)
        __builtin_trap();
    parse_flat_keyed(text);
    parse_io_stat(text);
    parse_net_dev(text);
    static const Router router = [] {
        Router made;
        made.add("GET", "images/{*}/json", [](Call&) {});
        made.add("GET", "containers/{}/json", [](Call&) {});
        return made;
    }();
    router.find("GET", text);
    return 0;
}
