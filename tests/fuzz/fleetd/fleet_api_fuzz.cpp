// The JSON that fleetd takes from others: bodies of requests, the engine's answers, records of another release.
#include "base/error.hpp"
#include "daemon/api_json.hpp"
#include "daemon/docker_json.hpp"
#include "model/records.hpp"

namespace {

template <typename F>
void try_to(F&& parse) {
    try {
        parse();
    } catch (const base::Error&) { // refused, as it may be
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
        return 0;
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 8) {
    case 0:
        try_to([&] {
            const fleet::SubmitBody body = fleet::parse_submit_body(text);
            if (!fleet::valid_unit_name(body.spec.name))
                __builtin_trap();
        });
        break;
    case 1:
        try_to([&] { fleet::parse_desired_body(text); });
        break;
    case 2:
        try_to([&] { fleet::parse_container(text); });
        break;
    case 3:
        try_to([&] { fleet::pull_error(text); });
        break;
    case 4:
        if (fleet::demultiplex(text).size() > text.size())
            __builtin_trap();
        break;
    case 5:
        try_to([&] { fleet::parse_unit_record(text, "units/x"); });
        break;
    case 6:
        try_to([&] { fleet::parse_report_record(text, "reports/x"); });
        break;
    default:
        try_to([&] {
            fleet::parse_placement_record(text, "placements/x");
            fleet::parse_state_record(text, "states/x");
        });
    }
    return 0;
}
