// ocirun-systemd: asks systemd for a container's cgroup. A program of its own because ocirun is static and starts for
// every container, and libsystemd is neither.
//   ocirun-systemd start UNIT SLICE PID [FILE=VALUE...]   a scope with the process in it; returns when it is there
//   ocirun-systemd set UNIT [FILE=VALUE...]               other limits
// FILE=VALUE are writes into the cgroup that ocirun does itself, too: systemd has to know them, or it would put its own
// values back at the next reload. What it has no property for it does not touch.
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/cli.hpp"
#include "base/error.hpp"

namespace {

constexpr const char* service = "org.freedesktop.systemd1";
constexpr const char* object = "/org/freedesktop/systemd1";
constexpr const char* manager = "org.freedesktop.systemd1.Manager";
constexpr std::uint64_t answer_limit = 25'000'000; // microseconds

struct Unref {
    void operator()(sd_bus* bus) const noexcept { sd_bus_flush_close_unref(bus); }
    void operator()(sd_bus_message* message) const noexcept { sd_bus_message_unref(message); }
    void operator()(sd_bus_slot* slot) const noexcept { sd_bus_slot_unref(slot); }
};
using Bus = std::unique_ptr<sd_bus, Unref>;
using Message = std::unique_ptr<sd_bus_message, Unref>;
using Slot = std::unique_ptr<sd_bus_slot, Unref>;

int check_bus(int result, const std::string& operation) {
    if (result < 0)
        throw base::Error(-result, operation);
    return result;
}

std::uint64_t number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} ? value : std::numeric_limits<std::uint64_t>::max(); // "max" is systemd's infinity
}

void append_number(sd_bus_message* message, const char* property, std::uint64_t value) {
    check_bus(sd_bus_message_append(message, "(sv)", property, "t", value), property);
}

/// "0-2,5" as the bits that systemd takes.
std::vector<std::uint8_t> bits_of(std::string_view list) {
    std::vector<std::uint8_t> bits;
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        const std::string_view range = list.substr(0, comma);
        list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
        const std::size_t dash = range.find('-');
        const std::uint64_t first = number(range.substr(0, dash));
        const std::uint64_t last = dash == std::string_view::npos ? first : number(range.substr(dash + 1));
        if (first > last || last > 8191)
            throw base::Error("\"" + std::string(range) + "\" is no range of CPUs or nodes");
        for (std::uint64_t bit = first; bit <= last; ++bit) {
            bits.resize(std::max<std::size_t>(bits.size(), bit / 8 + 1));
            bits[bit / 8] = static_cast<std::uint8_t>(bits[bit / 8] | 1U << bit % 8);
        }
    }
    return bits;
}

void append_bits(sd_bus_message* message, const char* property, std::string_view list) {
    const std::vector<std::uint8_t> bits = bits_of(list);
    check_bus(sd_bus_message_open_container(message, 'r', "sv"), property);
    check_bus(sd_bus_message_append(message, "s", property), property);
    check_bus(sd_bus_message_open_container(message, 'v', "ay"), property);
    check_bus(sd_bus_message_append_array(message, 'y', bits.data(), bits.size()), property);
    check_bus(sd_bus_message_close_container(message), property);
    check_bus(sd_bus_message_close_container(message), property);
}

/// cpu.max, "QUOTA PERIOD" in microseconds: systemd has the part of a second, and the period.
void append_quota(sd_bus_message* message, std::string_view value) {
    const std::size_t space = value.find(' ');
    const std::uint64_t quota = number(value.substr(0, space));
    const std::uint64_t period = space == std::string_view::npos ? 100'000 : number(value.substr(space + 1));
    constexpr std::uint64_t infinity = std::numeric_limits<std::uint64_t>::max();
    append_number(message, "CPUQuotaPeriodUSec", period);
    append_number(message, "CPUQuotaPerSecUSec",
                  quota == infinity || period == 0 ? infinity : quota * 1'000'000 / period);
}

void append_limit(sd_bus_message* message, std::string_view write) {
    constexpr struct {
        std::string_view file;
        const char* property;
    } numbers[] = {
        {"memory.max", "MemoryMax"},          {"memory.high", "MemoryHigh"}, {"memory.low", "MemoryLow"},
        {"memory.min", "MemoryMin"},          {"cpu.weight", "CPUWeight"},   {"pids.max", "TasksMax"},
        {"memory.swap.max", "MemorySwapMax"},
    };
    const std::size_t equals = write.find('=');
    if (equals == std::string_view::npos)
        throw base::UsageError("\"" + std::string(write) + "\" is not of the form FILE=VALUE");
    const std::string_view file = write.substr(0, equals), value = write.substr(equals + 1);
    for (const auto& entry : numbers)
        if (entry.file == file)
            return append_number(message, entry.property, number(value));
    if (file == "cpu.max" && !value.starts_with(' '))
        append_quota(message, value);
    else if (file == "cpuset.cpus")
        append_bits(message, "AllowedCPUs", value);
    else if (file == "cpuset.mems")
        append_bits(message, "AllowedMemoryNodes", value);
    else if (file == "io.weight" && value.starts_with("default "))
        append_number(message, "IOWeight", number(value.substr(8)));
}

Message new_call(sd_bus* bus, const char* method) {
    sd_bus_message* message = nullptr;
    check_bus(sd_bus_message_new_method_call(bus, &message, service, object, manager, method), method);
    return Message(message);
}

Message call(sd_bus* bus, const Message& message, const std::string& what) {
    sd_bus_error error{};
    sd_bus_message* reply = nullptr;
    const int result = sd_bus_call(bus, message.get(), answer_limit, &error, &reply);
    const std::string words = error.message == nullptr ? "" : error.message;
    sd_bus_error_free(&error);
    if (result < 0)
        throw words.empty() ? base::Error(-result, what) : base::Error(what + ": " + words);
    return Message(reply);
}

struct Job {
    std::string path, result;
};

int on_job_removed(sd_bus_message* message, void* data, sd_bus_error*) {
    auto& job = *static_cast<std::pair<std::string, std::vector<Job>>*>(data);
    std::uint32_t id = 0;
    const char *path = nullptr, *unit = nullptr, *result = nullptr;
    if (sd_bus_message_read(message, "uoss", &id, &path, &unit, &result) >= 0)
        job.second.push_back({path, result});
    return 0;
}

Bus open_bus() {
    sd_bus* bus = nullptr;
    if (geteuid() == 0)
        check_bus(sd_bus_open_system(&bus), "connect to the system's D-Bus, where systemd listens");
    else
        check_bus(sd_bus_open_user(&bus), "connect to the user's D-Bus, where systemd listens");
    return Bus(bus);
}

void start(const std::vector<std::string>& words) {
    const std::string &unit = words[1], &slice = words[2];
    const auto pid = static_cast<std::uint32_t>(number(words[3]));
    const Bus bus = open_bus();
    std::pair<std::string, std::vector<Job>> jobs;
    sd_bus_slot* slot = nullptr;
    check_bus(sd_bus_match_signal(bus.get(), &slot, service, object, manager, "JobRemoved", on_job_removed, &jobs),
              "watch systemd's jobs");
    const Slot watch(slot);
    call(bus.get(), new_call(bus.get(), "Subscribe"), "subscribe to systemd's signals");

    const Message message = new_call(bus.get(), "StartTransientUnit");
    sd_bus_message* const m = message.get();
    check_bus(sd_bus_message_append(m, "ss", unit.c_str(), "fail"), "unit");
    check_bus(sd_bus_message_open_container(m, 'a', "(sv)"), "properties");
    check_bus(sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s", "container of ocirun", "Slice",
                                    "s", slice.c_str(), "Delegate", "b", 1, "DefaultDependencies", "b", 0,
                                    "CollectMode", "s", "inactive-or-failed", "PIDs", "au", 1, pid),
              "properties");
    for (std::size_t index = 4; index < words.size(); ++index)
        append_limit(m, words[index]);
    check_bus(sd_bus_message_close_container(m), "properties");
    check_bus(sd_bus_message_append(m, "a(sa(sv))", 0), "auxiliary units");
    const Message reply = call(bus.get(), message, "start " + unit);
    const char* job = nullptr;
    check_bus(sd_bus_message_read(reply.get(), "o", &job), "systemd's answer to StartTransientUnit");
    for (;;) {
        for (const Job& ended : jobs.second) {
            if (ended.path != job)
                continue;
            if (ended.result != "done")
                throw base::Error("start " + unit + ": systemd's job ended with \"" + ended.result + "\"");
            return;
        }
        if (check_bus(sd_bus_process(bus.get(), nullptr), "D-Bus") > 0)
            continue;
        if (check_bus(sd_bus_wait(bus.get(), answer_limit), "D-Bus") == 0)
            throw base::Error(ETIMEDOUT, "start " + unit);
    }
}

void set(const std::vector<std::string>& words) {
    const Bus bus = open_bus();
    const Message message = new_call(bus.get(), "SetUnitProperties");
    check_bus(sd_bus_message_append(message.get(), "sb", words[1].c_str(), 1), "unit");
    check_bus(sd_bus_message_open_container(message.get(), 'a', "(sv)"), "properties");
    for (std::size_t index = 2; index < words.size(); ++index)
        append_limit(message.get(), words[index]);
    check_bus(sd_bus_message_close_container(message.get()), "properties");
    call(bus.get(), message, "change " + words[1]);
}

} // namespace

int main(int argc, char** argv) {
    return base::run_main("ocirun-systemd", [&] {
        const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
        if (!words.empty() && words[0] == "--help") {
            std::puts("Usage: ocirun-systemd start UNIT SLICE PID [FILE=VALUE...]\n"
                      "       ocirun-systemd set UNIT [FILE=VALUE...]\n"
                      "Run by \"ocirun --cgroup-manager systemd\".");
            return 0;
        }
        if (words.size() >= 4 && words[0] == "start")
            start(words);
        else if (words.size() >= 2 && words[0] == "set")
            set(words);
        else
            throw base::UsageError("start or set, and their arguments, are expected");
        return 0;
    });
}
