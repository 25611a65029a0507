#include "ocirun/update_request.hpp"

#include <unistd.h>

#include <charconv>

#include <boost/json.hpp>

#include "base/cli.hpp"
#include "base/files.hpp"

namespace ocirun {

namespace json = boost::json;

namespace {

struct Field {
    std::string_view option, group, key;
    bool text;
};

constexpr Field fields[] = {
    {"memory", "memory", "limit", false},
    {"memory-reservation", "memory", "reservation", false},
    {"memory-swap", "memory", "swap", false},
    {"kernel-memory", "memory", "kernel", false},
    {"kernel-memory-tcp", "memory", "kernelTCP", false},
    {"cpu-share", "cpu", "shares", false},
    {"cpu-quota", "cpu", "quota", false},
    {"cpu-period", "cpu", "period", false},
    {"cpu-burst", "cpu", "burst", false},
    {"cpu-idle", "cpu", "idle", false},
    {"cpu-rt-period", "cpu", "realtimePeriod", false},
    {"cpu-rt-runtime", "cpu", "realtimeRuntime", false},
    {"cpuset-cpus", "cpu", "cpus", true},
    {"cpuset-mems", "cpu", "mems", true},
    {"pids-limit", "pids", "limit", false},
    {"blkio-weight", "blockIO", "weight", false},
};

std::int64_t number(std::string_view option, const std::string& text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size())
        throw base::UsageError("option --" + std::string(option) + ": \"" + text + "\" is not a number");
    return value;
}

} // namespace

UpdateRequest update_request(const Arguments& arguments) {
    json::object document;
    for (const Field& field : fields) {
        if (!arguments.has(field.option))
            continue;
        const std::string value = arguments.get(field.option);
        json::value& group = document[field.group];
        if (group.is_null())
            group = json::object{};
        group.as_object()[field.key] = field.text ? json::value(value) : json::value(number(field.option, value));
    }
    for (const char* option : {"l3-cache-schema", "mem-bw-schema"})
        if (!arguments.get(option).empty())
            throw base::UsageError(std::string("option --") + option + " is not supported: no Intel RDT");
    if (!arguments.has("resources")) {
        if (document.empty())
            throw base::UsageError("update: nothing to change; give --resources or a limit");
        return {json::serialize(document), "the command line"};
    }
    if (!document.empty())
        throw base::UsageError("update: give either --resources or single limits");
    constexpr std::size_t limit = 1024 * 1024;
    const std::string path = arguments.get("resources");
    if (path == "-")
        return {base::read_fd(STDIN_FILENO, limit, "standard input"), "standard input"};
    return {base::read_file(path, limit), path};
}

} // namespace ocirun
