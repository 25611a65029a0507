// ocirun-systemd: asks systemd for a container's cgroup. A program of its own because ocirun is static and starts for
// every container, and libsystemd is neither.
//   ocirun-systemd [--user] start UNIT SLICE PID [FILE=VALUE...]   a scope with the process in it
//   ocirun-systemd [--user] set UNIT [FILE=VALUE...]               other limits
//   ocirun-systemd [--user] attach UNIT BELOW PID                  a process of the caller's goes into the scope's
//                                                                  group BELOW ("/": its own)
//   ocirun-systemd [--user] stop UNIT                              the scope goes
// Each returns when it is done. FILE=VALUE are writes into the cgroup that ocirun does itself, too: systemd has to know
// them, or it would put its own values back at the next reload. What it has no property for it does not touch.
// A scope has to be stopped: a group that is removed behind its back systemd takes for running for ever.
#include <systemd/sd-bus.h>

#include <charconv>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/cli.hpp"
#include "base/error.hpp"
#include "ocirun_systemd/properties.hpp"

namespace {

using ocirun_systemd::append_limit;
using ocirun_systemd::check_bus;

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

Bus open_bus(bool user) {
    sd_bus* bus = nullptr;
    if (user)
        check_bus(sd_bus_open_user(&bus), "connect to the user's D-Bus, where systemd listens");
    else
        check_bus(sd_bus_open_system(&bus), "connect to the system's D-Bus, where systemd listens");
    return Bus(bus);
}

Message new_call(sd_bus* bus, const char* method) {
    sd_bus_message* message = nullptr;
    check_bus(sd_bus_message_new_method_call(bus, &message, service, object, manager, method), method);
    return Message(message);
}

/// Null when systemd answers with the error `expected`.
Message call(sd_bus* bus, const Message& message, const std::string& what, std::string_view expected = {}) {
    sd_bus_error error{};
    sd_bus_message* reply = nullptr;
    const int result = sd_bus_call(bus, message.get(), answer_limit, &error, &reply);
    const std::string name = error.name == nullptr ? "" : error.name;
    const std::string words = error.message == nullptr ? "" : error.message;
    sd_bus_error_free(&error);
    if (result < 0 && !expected.empty() && name == expected)
        return {};
    if (result < 0)
        throw words.empty() ? base::Error(-result, what) : base::Error(what + ": " + words);
    return Message(reply);
}

/// The ends of systemd's jobs, from before one is asked for.
class Jobs {
public:
    explicit Jobs(sd_bus* bus) : bus_(bus) {
        sd_bus_slot* slot = nullptr;
        check_bus(sd_bus_match_signal(bus, &slot, service, object, manager, "JobRemoved", on_removed, this),
                  "watch systemd's jobs");
        watch_.reset(slot);
        call(bus, new_call(bus, "Subscribe"), "subscribe to systemd's signals");
    }
    Jobs(const Jobs&) = delete;
    Jobs& operator=(const Jobs&) = delete;

    /// Waits for the job that `answer` names; its result.
    std::string await(const Message& answer, const std::string& what) {
        const char* job = nullptr;
        check_bus(sd_bus_message_read(answer.get(), "o", &job), what + ": systemd's answer");
        for (;;) {
            for (const auto& [path, result] : ended_)
                if (path == job)
                    return result;
            if (check_bus(sd_bus_process(bus_, nullptr), "D-Bus") > 0)
                continue;
            if (check_bus(sd_bus_wait(bus_, answer_limit), "D-Bus") == 0)
                throw base::Error(ETIMEDOUT, what);
        }
    }

private:
    static int on_removed(sd_bus_message* message, void* data, sd_bus_error*) {
        std::uint32_t id = 0;
        const char *path = nullptr, *unit = nullptr, *result = nullptr;
        if (sd_bus_message_read(message, "uoss", &id, &path, &unit, &result) >= 0)
            static_cast<Jobs*>(data)->ended_.emplace_back(path, result);
        return 0;
    }
    sd_bus* bus_;
    Slot watch_;
    std::vector<std::pair<std::string, std::string>> ended_; ///< path of the job, result
};

void append_limits(sd_bus_message* message, const std::vector<std::string>& words, std::size_t first) {
    for (std::size_t index = first; index < words.size(); ++index) {
        try {
            append_limit(message, words[index]);
        } catch (const base::Error&) {
            std::throw_with_nested(base::Error(words[index]));
        }
    }
}

std::uint32_t pid_of(const std::string& text) {
    std::uint32_t pid = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
    if (error != std::errc{} || end != text.data() + text.size() || pid == 0)
        throw base::UsageError("\"" + text + "\" is no process");
    return pid;
}

void start(sd_bus* bus, const std::vector<std::string>& words) {
    const std::string &unit = words[1], &slice = words[2];
    Jobs jobs(bus);
    const Message message = new_call(bus, "StartTransientUnit");
    sd_bus_message* const m = message.get();
    check_bus(sd_bus_message_append(m, "ss", unit.c_str(), "fail"), "unit");
    check_bus(sd_bus_message_open_container(m, 'a', "(sv)"), "properties");
    check_bus(sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s", "container of ocirun", "Slice",
                                    "s", slice.c_str(), "Delegate", "b", 1, "DefaultDependencies", "b", 0,
                                    "CollectMode", "s", "inactive-or-failed", "PIDs", "au", 1, pid_of(words[3])),
              "properties");
    append_limits(m, words, 4);
    check_bus(sd_bus_message_close_container(m), "properties");
    check_bus(sd_bus_message_append(m, "a(sa(sv))", 0), "auxiliary units");
    const std::string what = "start " + unit;
    const Message answer = call(bus, message, what, "org.freedesktop.systemd1.UnitExists");
    if (!answer)
        throw base::Error(what + ": systemd has a unit of this name; is it another container's? \"systemctl stop " +
                          unit + "\" ends it");
    if (const std::string result = jobs.await(answer, what); result != "done")
        throw base::Error(what + ": systemd's job ended with \"" + result + "\"");
}

void set(sd_bus* bus, const std::vector<std::string>& words) {
    const Message message = new_call(bus, "SetUnitProperties");
    check_bus(sd_bus_message_append(message.get(), "sb", words[1].c_str(), 1), "unit");
    check_bus(sd_bus_message_open_container(message.get(), 'a', "(sv)"), "properties");
    append_limits(message.get(), words, 2);
    check_bus(sd_bus_message_close_container(message.get()), "properties");
    call(bus, message, "change " + words[1]);
}

void attach(sd_bus* bus, const std::vector<std::string>& words) {
    const Message message = new_call(bus, "AttachProcessesToUnit");
    check_bus(sd_bus_message_append(message.get(), "ssau", words[1].c_str(), words[2].c_str(), 1, pid_of(words[3])),
              "unit and process");
    call(bus, message, "attach a process to " + words[1]);
}

void stop(sd_bus* bus, const std::string& unit) {
    Jobs jobs(bus);
    const Message message = new_call(bus, "StopUnit");
    check_bus(sd_bus_message_append(message.get(), "ss", unit.c_str(), "replace"), "unit");
    const std::string what = "stop " + unit;
    // One whose processes have all ended systemd has forgotten already.
    if (const Message answer = call(bus, message, what, "org.freedesktop.systemd1.NoSuchUnit"))
        jobs.await(answer, what);
}

constexpr const char* help = "Usage: ocirun-systemd [--user] start UNIT SLICE PID [FILE=VALUE...]\n"
                             "       ocirun-systemd [--user] set UNIT [FILE=VALUE...]\n"
                             "       ocirun-systemd [--user] attach UNIT BELOW PID\n"
                             "       ocirun-systemd [--user] stop UNIT\n"
                             "Run by \"ocirun --cgroup-manager systemd\". --user: the user's systemd is asked.\n";

} // namespace

int main(int argc, char** argv) {
    return base::run_main("ocirun-systemd", [&] {
        std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
        if (!words.empty() && words[0] == "--help") {
            std::fputs(help, stdout);
            return 0;
        }
        const bool user = !words.empty() && words[0] == "--user";
        if (user)
            words.erase(words.begin());
        const std::string command = words.empty() ? "" : words[0];
        if (command == "start" && words.size() >= 4)
            start(open_bus(user).get(), words);
        else if (command == "set" && words.size() >= 2)
            set(open_bus(user).get(), words);
        else if (command == "attach" && words.size() == 4)
            attach(open_bus(user).get(), words);
        else if (command == "stop" && words.size() == 2)
            stop(open_bus(user).get(), words[1]);
        else
            throw base::UsageError("start, set, attach or stop, and their arguments, are expected; see --help");
        return 0;
    });
}
