// The command line as callers of runc and crun use it.
#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "bundle.hpp"

using ocirun_test::Bundle;
using ocirun_test::text;
namespace json = boost::json;

BOOST_FIXTURE_TEST_SUITE(command_line, Bundle)

BOOST_AUTO_TEST_CASE(errors_go_to_the_log) {
    const base::RunResult result = ocirun({"--log", path() + "/log", "--log-format", "json", "start", "n\"o"});
    BOOST_TEST(result.status.code == 1);
    const json::value entry = json::parse(base::read_file(path() + "/log"));
    BOOST_TEST(text(entry.at("level")) == "error");
    BOOST_TEST(text(entry.at("msg")).find("container id \"n\"o\"") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(wrong_command_lines_exit_with_2) {
    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{{},
                                                                                       {"fly"},
                                                                                       {"create"},
                                                                                       {"create", "--wings", "x"},
                                                                                       {"kill", "x", "NOSIG"},
                                                                                       {"exec", "x"},
                                                                                       {"run", "a", "b"},
                                                                                       {"create", "--pid-file"}})
        BOOST_TEST(ocirun(words).status.code == 2);
    BOOST_TEST(ocirun({"--help"}).status.success());
    BOOST_TEST(ocirun({"create", "--help"}).output.find("--console-socket PATH") != std::string::npos);
    const json::value features = json::parse(ocirun({"features"}).output);
    BOOST_TEST(features.at("linux").at("seccomp").at("enabled").as_bool());
    // ocirun-systemd is beside ocirun; elsewhere it is not.
    BOOST_TEST(features.at("linux").at("cgroup").at("systemd").as_bool());
    const std::string alone = path() + "/ocirun";
    std::filesystem::copy_file(OCIRUN, alone);
    const json::value other = json::parse(base::run_checked({alone, "features"}));
    BOOST_TEST(!other.at("linux").at("cgroup").at("systemd").as_bool());
}

// What podman and containerd look for in messages.
BOOST_AUTO_TEST_CASE(messages_that_callers_parse) {
    BOOST_TEST(ocirun({"kill", "box"}).errors.find("does not exist") != std::string::npos);
    args({"/probe", "exit", "0"});
    save();
    BOOST_REQUIRE(ocirun({"run", "--keep", "box"}).status.success());
    BOOST_TEST(ocirun({"kill", "box"}).errors == "ocirun: container not running: \"box\" is stopped\n");
    BOOST_TEST(ocirun({"delete", "box"}).status.success());
    args({"/nothing"});
    save();
    const base::RunResult created = ocirun({"--log", path() + "/log", "--log-format=json", "create", "box"});
    BOOST_TEST(created.status.code == 1); // by `create`, not only by `start`
    BOOST_TEST(created.errors == "ocirun: exec \"/nothing\": No such file or directory\n");
    BOOST_TEST(text(json::parse(base::read_file(path() + "/log")).at("msg")) ==
               "exec \"/nothing\": No such file or directory");
    args({"nothing"});
    save();
    BOOST_TEST(ocirun({"create", "box"}).errors == "ocirun: exec \"nothing\": executable file not found in $PATH\n");
    args({"/proc"});
    save();
    BOOST_TEST(ocirun({"run", "box"}).errors == "ocirun: exec \"/proc\": Permission denied\n");
}

BOOST_AUTO_TEST_CASE(usage_errors_go_to_the_log_too) {
    BOOST_TEST(ocirun({"--log", path() + "/log", "--log-format", "json", "create", "--wings", "box"}).status.code == 2);
    BOOST_TEST(text(json::parse(base::read_file(path() + "/log")).at("msg")) == "create: unknown option --wings");
}

BOOST_AUTO_TEST_CASE(list_and_ps_formats) {
    BOOST_TEST(ocirun({"list", "--format", "json"}).output == "[]\n");
    BOOST_TEST(ocirun({"list", "-q"}).output == "");
    start_waiting();
    const std::string pid = std::to_string(state().at("pid").as_int64());
    const json::value list = json::parse(ocirun({"list", "-f", "json"}).output);
    BOOST_TEST(text(list.at(0).at("status")) == "running");
    BOOST_TEST(std::to_string(list.at(0).at("pid").as_int64()) == pid);
    BOOST_TEST(text(list.at(0).at("bundle")) == path());
    BOOST_TEST(ocirun({"list"}).output.starts_with("ID "));
    BOOST_TEST(ocirun({"ps", "--format", "json", "box"}).output == "[" + pid + "]\n");
    const std::string table = ocirun({"ps", "box", "-o", "pid,comm"}).output;
    BOOST_TEST(table.find("COMMAND") != std::string::npos);
    BOOST_TEST(table.find(pid + " probe\n") != std::string::npos);
    BOOST_TEST(std::count(table.begin(), table.end(), '\n') == 2);
    BOOST_TEST(ocirun({"ps", "box", "-o", "comm"}).status.code == 2);
    BOOST_TEST(ocirun({"list", "--format", "yaml"}).status.code == 2);
}

BOOST_AUTO_TEST_CASE(statistics_are_the_cgroup_s) {
    start_waiting();
    const json::value event = json::parse(ocirun({"events", "--stats", "box"}).output);
    BOOST_TEST(text(event.at("type")) == "stats");
    BOOST_TEST(text(event.at("id")) == "box");
    BOOST_TEST(event.at("data").at("cpu").at("usage").at("total").to_number<std::uint64_t>() > 0U);
    BOOST_TEST(ocirun({"events", "--interval", "fast", "box"}).status.code == 2);
    // With an interval until the end.
    base::SpawnOptions options;
    const base::UniqueFd output = base::open_file(path() + "/events", O_WRONLY | O_CREAT, 0600);
    options.stdout_fd = output.get();
    base::Child events =
        base::Child::spawn({OCIRUN, "--root", state_root(), "events", "--interval", "5ms", "box"}, options);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (base::read_file(path() + "/events").find('\n') == std::string::npos) {
        BOOST_REQUIRE(std::chrono::steady_clock::now() < deadline);
        const timespec pause{0, 2'000'000};
        nanosleep(&pause, nullptr);
    }
    BOOST_REQUIRE(ocirun({"kill", "box", "KILL"}).status.success());
    const std::optional<base::ExitStatus> ended = events.wait_for(std::chrono::seconds(60));
    BOOST_REQUIRE(ended.has_value());
    BOOST_TEST(ended->success());
    BOOST_TEST(ocirun({"events", "--stats", "box"}).errors.find("container not running") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(update_takes_a_document_or_options) {
    start_waiting();
    BOOST_TEST(ocirun({"update", "box"}).status.code == 2);
    BOOST_TEST(ocirun({"update", "--memory", "much", "box"}).status.code == 2);
    BOOST_TEST(ocirun({"update", "--memory", "1", "--resources", "-", "box"}).status.code == 2);
    base::RunOptions input;
    input.input = R"({"devices": [{"allow": false, "access": "rwm"}]})";
    const base::RunResult devices = ocirun({"update", "--resources", "-", "box"}, input);
    BOOST_TEST(devices.status.success(), devices.errors);
    // What takes away a limit can be had without the controller; a limit cannot.
    BOOST_TEST(ocirun({"update", "--pids-limit", "-1", "--memory", "-1", "--cpu-quota", "-1", "box"}).status.success());
    const base::RunResult limited = ocirun({"update", "--pids-limit", "5", "box"});
    if (base::read_file(cgroup_path() + "/box/cgroup.controllers").find("pids") == std::string::npos)
        BOOST_TEST(limited.errors.find("pids.limit: cgroup controller \"pids\" is not available") != std::string::npos,
                   limited.errors);
    else
        BOOST_TEST(base::read_file(cgroup_path() + "/box/pids.max") == "5\n");
}

BOOST_AUTO_TEST_CASE(without_cgroups) {
    args({"/probe", "wait"});
    save();
    const std::vector<std::string> manager{"--cgroup-manager", "disabled"};
    const auto disabled = [&](std::vector<std::string> words) {
        words.insert(words.begin(), manager.begin(), manager.end());
        return words;
    };
    base::SpawnOptions options;
    options.directory = path();
    const base::UniqueFd null = base::open_file("/dev/null", O_RDWR);
    options.stdout_fd = null.get();
    BOOST_REQUIRE(
        base::Child::spawn({OCIRUN, "--root", state_root(), "--cgroup-manager", "disabled", "create", "box"}, options)
            .wait()
            .success());
    BOOST_REQUIRE(ocirun({"start", "box"}).status.success());
    BOOST_TEST(!std::filesystem::exists(cgroup_path()));
    BOOST_TEST(ocirun({"exec", "box", "/probe", "exit", "4"}).status.code == 4);
    BOOST_TEST(ocirun({"pause", "box"}).errors.find("has no cgroup") != std::string::npos);
    BOOST_TEST(ocirun({"kill", "--all", "box", "KILL"}).status.success());
    await_status("stopped");
    BOOST_TEST(ocirun({"delete", "box"}).status.success());
    linux_part()["resources"] = json::parse(R"({"pids": {"limit": 7}})");
    save();
    BOOST_TEST(ocirun(disabled({"run", "box"})).errors ==
               "ocirun: linux.resources.pids.limit: cgroup controller \"pids\" is not available: "
               "--cgroup-manager disabled\n");
    BOOST_TEST(ocirun({"--cgroup-manager", "wings", "list"}).status.code == 2);
}

BOOST_AUTO_TEST_CASE(exec_in_a_paused_container_waits) {
    start_waiting();
    BOOST_REQUIRE(ocirun({"pause", "box"}).status.success());
    base::SpawnOptions options;
    options.directory = path();
    base::Child exec = base::Child::spawn(
        {OCIRUN, "--root", state_root(), "exec", "--ignore-paused", "box", "/probe", "exit", "6"}, options);
    BOOST_TEST(!exec.wait_for(std::chrono::milliseconds(30)).has_value());
    BOOST_REQUIRE(ocirun({"resume", "box"}).status.success());
    BOOST_TEST(exec.wait().code == 6);
}

BOOST_AUTO_TEST_CASE(spec_makes_a_configuration_that_runs) {
    const std::string bundle = path() + "/other";
    std::filesystem::create_directories(bundle + "/rootfs/bin");
    std::filesystem::copy_file(PROBE, bundle + "/rootfs/bin/sh");
    BOOST_REQUIRE(ocirun({"spec", "--bundle", bundle}).status.success());
    // The version that `features` and `--version` say.
    const json::value written = json::parse(base::read_file(bundle + "/config.json"));
    BOOST_TEST(written.at("ociVersion") == json::parse(ocirun({"features"}).output).at("ociVersionMax"));
    BOOST_TEST(ocirun({"--version"}).output.ends_with("spec: " + text(written.at("ociVersion")) + "\n"));
    BOOST_TEST(ocirun({"spec", "--bundle", bundle}).errors.find("File exists") != std::string::npos);
    // It names no group, and that of a container named so may be somebody else's.
    const base::RunResult result = ocirun({"run", "--bundle", bundle, "spec-" + std::to_string(getpid())});
    BOOST_REQUIRE_MESSAGE(result.status.success(), result.errors);
    BOOST_TEST(text(json::parse(result.output).at("hostname")) == "ocirun");
}

BOOST_AUTO_TEST_SUITE_END()
