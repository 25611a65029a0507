// --systemd-cgroup against a manager of ours that answers as systemd does on its bus.
#include <boost/test/unit_test.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "bundle.hpp"

using ocirun_test::Bundle;
using ocirun_test::text;
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

/// One connection after the other, peer to peer.
class FakeSystemd {
public:
    /// Units' groups are made in `group` (a directory of cgroup v2).
    FakeSystemd(const std::string& path, std::string group) : group_(std::move(group)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path.c_str());
        listener_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        BOOST_REQUIRE(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        BOOST_REQUIRE(listen(listener_.get(), 4) == 0);
        stop_.reset(eventfd(0, EFD_CLOEXEC));
        thread_ = std::thread([this] { serve(); });
    }
    ~FakeSystemd() {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = write(stop_.get(), &one, sizeof one);
        thread_.join();
    }

    // Read when no call is under way.
    std::string unit, changed;
    std::map<std::string, std::string> properties;
    std::string job_result = "done";

private:
    static int on_nothing(sd_bus_message* message, void*, sd_bus_error*) {
        return sd_bus_reply_method_return(message, "");
    }
    static int on_hello(sd_bus_message* message, void*, sd_bus_error*) {
        return sd_bus_reply_method_return(message, "s", ":1.1");
    }

    void read_properties(sd_bus_message* message) {
        sd_bus_message_enter_container(message, 'a', "(sv)");
        while (sd_bus_message_enter_container(message, 'r', "sv") > 0) {
            const char *name = nullptr, *contents = nullptr;
            sd_bus_message_read(message, "s", &name);
            sd_bus_message_peek_type(message, nullptr, &contents);
            const std::string type = contents;
            if (type == "s") {
                const char* value = nullptr;
                sd_bus_message_read(message, "v", "s", &value);
                properties[name] = value;
            } else if (type == "t") {
                std::uint64_t value = 0;
                sd_bus_message_read(message, "v", "t", &value);
                properties[name] = std::to_string(value);
            } else if (type == "b") {
                int value = 0;
                sd_bus_message_read(message, "v", "b", &value);
                properties[name] = std::to_string(value);
            } else if (type == "au") {
                std::uint32_t count = 0, value = 0;
                sd_bus_message_read(message, "v", "au", 1, &value);
                static_cast<void>(count);
                properties[name] = std::to_string(value);
            } else {
                sd_bus_message_skip(message, "v");
                properties[name] = type;
            }
            sd_bus_message_exit_container(message);
        }
        sd_bus_message_exit_container(message);
    }

    static int on_start(sd_bus_message* message, void* data, sd_bus_error*) {
        auto& self = *static_cast<FakeSystemd*>(data);
        const char *name = nullptr, *mode = nullptr;
        sd_bus_message_read(message, "ss", &name, &mode);
        self.unit = name;
        self.read_properties(message);
        if (self.job_result == "done") {
            const std::string group = self.group_ + "/" + self.unit;
            fs::create_directories(group);
            std::ofstream(group + "/cgroup.procs") << self.properties["PIDs"];
        }
        constexpr const char* job = "/org/freedesktop/systemd1/job/7";
        sd_bus_reply_method_return(message, "o", job);
        sd_bus* bus = sd_bus_message_get_bus(message);
        sd_bus_message* signal = nullptr;
        sd_bus_message_new_signal(bus, &signal, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                                  "JobRemoved");
        sd_bus_message_append(signal, "uoss", 7U, job, name, self.job_result.c_str());
        sd_bus_message_set_sender(signal, "org.freedesktop.systemd1");
        sd_bus_send(bus, signal, nullptr);
        sd_bus_message_unref(signal);
        return 1;
    }
    static int on_set(sd_bus_message* message, void* data, sd_bus_error*) {
        auto& self = *static_cast<FakeSystemd*>(data);
        const char* name = nullptr;
        int runtime_only = 0;
        sd_bus_message_read(message, "sb", &name, &runtime_only);
        self.changed = name;
        self.read_properties(message);
        return sd_bus_reply_method_return(message, "");
    }

    bool wait_for(int fd, short events, std::uint64_t microseconds) const {
        pollfd waits[] = {{fd, events, 0}, {stop_.get(), POLLIN, 0}};
        const int timeout = microseconds > 10'000'000 ? 10'000 : static_cast<int>(microseconds / 1000);
        poll(waits, 2, timeout);
        return waits[1].revents == 0;
    }

    void serve() {
        while (wait_for(listener_.get(), POLLIN, ~0ULL)) {
            pollfd incoming{listener_.get(), POLLIN, 0};
            if (poll(&incoming, 1, 0) > 0)
                serve_one(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        }
    }
    void serve_one(int fd) {
        static const sd_bus_vtable driver[] = {
            SD_BUS_VTABLE_START(0), SD_BUS_METHOD("Hello", "", "s", on_hello, SD_BUS_VTABLE_UNPRIVILEGED),
            SD_BUS_METHOD("AddMatch", "s", "", on_nothing, SD_BUS_VTABLE_UNPRIVILEGED),
            SD_BUS_METHOD("RemoveMatch", "s", "", on_nothing, SD_BUS_VTABLE_UNPRIVILEGED), SD_BUS_VTABLE_END};
        static const sd_bus_vtable manager[] = {
            SD_BUS_VTABLE_START(0), SD_BUS_METHOD("Subscribe", "", "", on_nothing, SD_BUS_VTABLE_UNPRIVILEGED),
            SD_BUS_METHOD("StartTransientUnit", "ssa(sv)a(sa(sv))", "o", on_start, SD_BUS_VTABLE_UNPRIVILEGED),
            SD_BUS_METHOD("SetUnitProperties", "sba(sv)", "", on_set, SD_BUS_VTABLE_UNPRIVILEGED), SD_BUS_VTABLE_END};
        sd_bus* bus = nullptr;
        sd_id128_t id{};
        sd_id128_randomize(&id);
        sd_bus_new(&bus);
        sd_bus_set_fd(bus, fd, fd);
        sd_bus_set_server(bus, 1, id);
        sd_bus_add_object_vtable(bus, nullptr, "/org/freedesktop/DBus", "org.freedesktop.DBus", driver, this);
        sd_bus_add_object_vtable(bus, nullptr, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", manager,
                                 this);
        sd_bus_start(bus);
        for (;;) {
            const int worked = sd_bus_process(bus, nullptr);
            if (worked < 0)
                break; // the client has gone
            if (worked > 0)
                continue;
            std::uint64_t timeout = ~0ULL;
            sd_bus_get_timeout(bus, &timeout);
            if (!wait_for(fd, static_cast<short>(sd_bus_get_events(bus)), ~0ULL))
                break;
        }
        sd_bus_flush_close_unref(bus);
    }

    std::string group_;
    base::UniqueFd listener_, stop_;
    std::thread thread_;
};

struct Rig : Bundle {
    Rig() {
        // The unit's group is below the bundle's, where leftovers are looked for.
        linux_part()["cgroupsPath"] = "machine.slice:pod:box";
        options.environment = {"DBUS_SYSTEM_BUS_ADDRESS=unix:path=" + path() + "/bus",
                               "PATH=" + fs::path(OCIRUN_SYSTEMD).parent_path().string() + ":/usr/bin:/bin"};
        options.directory = path();
        null = base::open_file("/dev/null", O_RDWR);
        options.stdout_fd = null.get();
        args({"/probe", "wait"});
        save();
    }
    ~Rig() {
        ocirun({"delete", "--force", "box"});
        std::error_code error;
        fs::remove(cgroup_path(), error);
    }
    base::ExitStatus by_systemd(const std::vector<std::string>& words) {
        std::vector<std::string> command{OCIRUN, "--root", state_root(), "--systemd-cgroup"};
        command.insert(command.end(), words.begin(), words.end());
        return base::Child::spawn(command, options).wait();
    }
    base::SpawnOptions options;
    base::UniqueFd null;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(systemd, Rig)

BOOST_AUTO_TEST_CASE(a_scope_is_the_container_s_group) {
    FakeSystemd manager(path() + "/bus", cgroup_path());
    BOOST_REQUIRE(by_systemd({"create", "box"}).success());
    BOOST_TEST(manager.unit == "pod-box.scope");
    BOOST_TEST(manager.properties["Slice"] == "machine.slice");
    BOOST_TEST(manager.properties["Delegate"] == "1");
    BOOST_TEST(manager.properties["CollectMode"] == "inactive-or-failed");
    const std::string pid = std::to_string(state().at("pid").as_int64());
    BOOST_TEST(manager.properties["PIDs"] == pid);
    BOOST_TEST(base::read_file("/proc/" + pid + "/cgroup").find("/pod-box.scope\n") != std::string::npos);
    BOOST_TEST(by_systemd({"start", "box"}).success());
    // Its cgroup namespace begins in the scope.
    const base::RunResult report = ocirun({"exec", "box", "/probe"});
    const std::string seen = text(json::parse(report.output).at("cgroup"));
    BOOST_TEST(seen.find("0::/\n") != std::string::npos, seen);
    BOOST_TEST(by_systemd({"update", "--memory", "-1", "--cpu-quota", "-1", "box"}).success());
    BOOST_TEST(manager.changed == "pod-box.scope");
    BOOST_TEST(manager.properties["MemoryMax"] == std::to_string(~0ULL));
    BOOST_TEST(ocirun({"pause", "box"}).status.success());
    BOOST_TEST(ocirun({"resume", "box"}).status.success());
    BOOST_TEST(ocirun({"delete", "--force", "box"}).status.success());
    BOOST_TEST(!fs::exists(cgroup_path() + "/pod-box.scope"));
}

BOOST_AUTO_TEST_CASE(what_fails_is_undone) {
    BOOST_TEST(by_systemd({"create", "box"}).code == 1); // nobody listens
    BOOST_TEST(leftovers() == "");
    FakeSystemd manager(path() + "/bus", cgroup_path());
    manager.job_result = "failed";
    BOOST_TEST(by_systemd({"create", "box"}).code == 1);
    BOOST_TEST(leftovers() == "");
    linux_part()["cgroupsPath"] = "/a/path";
    save();
    BOOST_TEST(by_systemd({"create", "box"}).code == 1);
    linux_part()["cgroupsPath"] = "machine.slice:pod/..:box";
    save();
    BOOST_TEST(by_systemd({"create", "box"}).code == 1);
    BOOST_TEST(ocirun({"create", "box"}).errors.find("is for systemd") != std::string::npos);
    BOOST_TEST(leftovers() == "");
}

BOOST_AUTO_TEST_SUITE_END()
