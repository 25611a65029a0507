// What root asks updatectl for, on a machine's disk in a directory: kernel arguments, /etc, pins, streams, factory
// reset.
#include "machine.hpp"
#include "updater/paths.hpp"

using namespace updater_test;

namespace {

const std::string shipped_passwd = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/false\n";

struct Controlled : Machine {
    Controlled()
        : Machine({.kernel_arguments = {"quiet", "panic=10"},
                   .etc = {{"passwd", shipped_passwd}, {"both", "one\n"}},
                   .packages = "busybox 1.35\nnftables 1.0\n"}) {}
    Image second(const std::string& ref = "atoll/stable") {
        return {.version = "2",
                .ref = ref,
                .program = "two",
                .signers = {&key},
                .kernel_arguments = {"panic=20", "new"},
                .etc = {{"passwd", shipped_passwd + "time:x:91:91::/:/bin/false\n"}, {"both", "two\n"}},
                .packages = "busybox 1.36\ncurl 8\n"};
    }
    std::string command_line() const { return base::read_file(paths.command_line); }
    void require_good() {
        until("it is found good", [&] { return state() == "good"; });
    }
};

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(updater_control, Controlled)

BOOST_AUTO_TEST_CASE(kernel_arguments_of_the_host_are_kept_and_the_images_taken_over) {
    start();
    // The rig's first deployment was made without the image's arguments: the host deleted them, as far as anybody
    // knows.
    require_control({"kargs", "--append", "mine=1", "--append", "quiet"});
    BOOST_TEST(state() == "staged");
    BOOST_TEST(has(require_control({"status"}), "kernel arguments: append mine=1"));
    BOOST_TEST(control({"kargs", "--append", "a;b"}).status.code == 1);
    BOOST_TEST(has(control({"kargs", "--delete", "none"}).errors, "there is none"));
    const std::string changed = reboot();
    BOOST_TEST(changed != first_revision);
    BOOST_TEST(has(command_line(), " mine=1 quiet atoll.rev=" + changed));
    require_good();
    BOOST_TEST(has(require_control({"kargs"}), "mine=1\nquiet\n"));

    publish(second());
    require_control({"upgrade"});
    reboot();
    const std::string line = command_line();
    BOOST_TEST_INFO(line);
    BOOST_TEST(has(line, "root=LABEL=atoll-root"));
    BOOST_TEST(has(line, " mine=1 "));
    BOOST_TEST(has(line, " new "));
    BOOST_TEST(!has(line, "quiet")); // the image's, and the image has it no more
    require_good();
}

BOOST_AUTO_TEST_CASE(etc_is_reported_merged_and_rolled_back) {
    start();
    const std::string first = deployment_of(first_revision);
    base::write_durable(first + "/etc/passwd", shipped_passwd + "web:x:1000:1000::/srv:/bin/sh\n");
    base::write_durable(first + "/etc/both", "here\n");
    base::write_durable(first + "/etc/added", "here\n");
    publish(second());
    require_control({"upgrade"});
    const std::string report = require_control({"etc-diff"});
    BOOST_TEST_INFO(report);
    BOOST_TEST(has(report, "added    /etc/added"));
    BOOST_TEST(has(report, "modified /etc/shipped"));
    BOOST_TEST(has(report, "CONFLICT, changed on both sides (1)\n  /etc/both"));
    BOOST_TEST(has(report, "passwd: time comes with the image"));
    const std::string revision = reboot();
    const std::string root = deployment_of(revision);
    BOOST_TEST(base::read_file(root + "/etc/passwd") ==
               shipped_passwd + "web:x:1000:1000::/srv:/bin/sh\ntime:x:91:91::/:/bin/false\n");
    BOOST_TEST(base::read_file(root + "/etc/both") == "here\n");
    BOOST_TEST(base::read_file(root + "/usr/etc/both") == "two\n");
    require_good();
    BOOST_TEST(has(require_control({"status"}), "conflict  /etc/both was changed here and in the image"));
    BOOST_TEST(has(require_control({"history"}), "/etc/both was changed here and in the image"));

    base::write_durable(root + "/etc/later", "edited after the upgrade\n");
    const std::string back = require_control({"rollback"});
    BOOST_TEST_INFO(back);
    BOOST_TEST(has(back, "1 boots next, with /etc as it was left there"));
    BOOST_TEST(has(back, "/etc/later"));
    BOOST_TEST(!has(back, "/etc/both"));
    BOOST_TEST(has(require_control({"status"}), "edits of /etc are not in 1"));
}

BOOST_AUTO_TEST_CASE(differences_of_two_releases) {
    start();
    BOOST_TEST(has(control({"diff"}).errors, "no deployment 'rollback'"));
    publish(second());
    require_control({"upgrade"});
    const std::string diff = require_control({"diff"});
    BOOST_TEST_INFO(diff);
    BOOST_TEST(has(diff, "packages changed (1)\n  busybox 1.35 -> 1.36"));
    BOOST_TEST(has(diff, "packages added (1)\n  curl 8"));
    BOOST_TEST(has(diff, "packages removed (1)\n  nftables 1.0"));
    BOOST_TEST(has(diff, "  /usr/bin/program\n"));
    const json::value document = base::parse_json(require_control({"diff", "--json", "booted", "staged"}), "diff");
    BOOST_TEST(document.at("to").at("version").as_string() == "2");
}

BOOST_AUTO_TEST_CASE(pinned_deployments_stay_and_others_go) {
    start();
    require_control({"pin", "booted"});
    const std::string second_revision = stage_and_reboot(second());
    require_good();
    Image third = second();
    third.version = "3";
    third.program = "three";
    const std::string third_revision = stage_and_reboot(third);
    require_good();
    BOOST_TEST(entries() == (std::vector<std::string>{third_revision, second_revision, first_revision}));
    require_control({"unpin", "1"});
    BOOST_TEST(has(require_control({"cleanup"}), std::string("removed revision ") + first_revision));
    BOOST_TEST(entries() == (std::vector<std::string>{third_revision, second_revision}));
    BOOST_TEST(has(require_control({"cleanup", "--keep", "1"}), "removed revision " + second_revision));
    BOOST_TEST(has(require_control({"cleanup", "--keep", "1"}), "nothing to remove"));
    BOOST_TEST(has(control({"pin", "none"}).errors, "no deployment 'none'"));
    BOOST_TEST(control({"cleanup", "--keep", "0"}).status.code == 2);
}

BOOST_AUTO_TEST_CASE(another_stream_and_back_to_a_release) {
    start();
    publish(second("atoll/testing"));
    BOOST_TEST(has(control({"rebase", "../x"}).errors, "is not the name of a stream"));
    BOOST_TEST(has(require_control({"rebase", "atoll/testing"}), "2 is staged"));
    reboot();
    require_good();
    // It is followed from now on.
    Image third = second("atoll/testing");
    third.version = "3";
    third.program = "three";
    publish(third);
    BOOST_TEST(has(require_control({"check"}), "3 is available"));
    BOOST_TEST(has(require_control({"deploy", "1"}), "1 is staged"));
    const std::string revision = reboot();
    BOOST_TEST(base::read_file(deployment_of(revision) + "/usr/bin/program") == "one");
    require_good();
    BOOST_TEST(has(control({"deploy", "none"}).errors, "atoll/stable has no version none: it offers 1"));
    // And with it the stream it came from.
    BOOST_TEST(has(require_control({"check"}), "up to date"));
}

BOOST_AUTO_TEST_CASE(factory_reset) {
    start();
    base::write_durable(deployment_of(first_revision) + "/etc/added", "here\n");
    require_control({"kargs", "--append", "mine"});
    reboot();
    require_good();
    BOOST_TEST(has(control({"reset"}).errors, "without --yes"));
    require_control({"reset", "--yes"});
    BOOST_TEST(has(require_control({"cleanup", "--staged"}), "was dropped"));
    BOOST_TEST(state() == "good");
    require_control({"reset", "--yes"});
    const std::string revision = reboot();
    const std::string root = deployment_of(revision);
    BOOST_TEST(!std::filesystem::exists(root + "/etc/added"));
    BOOST_TEST(base::read_file(root + "/etc/kept") == "as shipped\n");
    BOOST_TEST(!has(command_line(), "mine"));
    BOOST_TEST(has(command_line(), "root=LABEL=atoll-root quiet panic=10 "));
    // Stage 1 of that revision puts it in place, and the old one goes when it is good.
    const std::string stateroot = paths.root + "/ostree/deploy/atoll/";
    BOOST_TEST(std::filesystem::exists(stateroot + "var.reset-" + revision + "/tmp"));
    require_good();
    std::filesystem::create_directories(stateroot + "var.old-" + revision + "/lib/data");
    stop();
    start();
    until("the old /var is removed", [&] { return !std::filesystem::exists(stateroot + "var.old-" + revision); });
}

// The commit that runs is not to blame for what was changed with it.
BOOST_AUTO_TEST_CASE(failed_change_of_the_booted_release_condemns_only_itself) {
    write_host_yaml("  settle: 1s\n  trial: 1s\n");
    start();
    const auto fails = [&](const std::vector<std::string>& command) {
        require_control(command);
        engine->set("running", "unhealthy");
        const std::size_t asked = init->reboots().size();
        const std::string failed = reboot();
        until("a reboot is asked for", [&] { return init->reboots().size() > asked; });
        engine->set("running", "healthy");
        return failed;
    };
    const std::string failed = fails({"kargs", "--append", "mine=1"});
    BOOST_TEST(reboot() == first_revision);
    BOOST_TEST(state() == "rolled-back");
    const std::string text = require_control({"status"});
    BOOST_TEST_INFO(text);
    BOOST_TEST(has(text, "this deployment is not booted again unless forced, its release is good"));
    until("the good one is first", [&] { return entries().front() == first_revision && !busy(); });
    // That deployment is not booted again; another one of the same commit is.
    BOOST_TEST(has(control({"rollback"}).errors, "failed on this host"));
    require_control({"kargs", "--append", "mine=2"});
    const std::string second_try = reboot();
    BOOST_TEST((second_try != failed && second_try != first_revision));
    require_good();
    require_control({"deploy", "1"});
    require_control({"cleanup", "--staged"});

    // What a failed reset found out is in its own /var, which stage 1 put aside; ours knows nothing of it.
    const std::string reset_revision = [&] {
        stop();
        const std::string ours = base::read_file(paths.state_file());
        start();
        const std::string revision = fails({"reset", "--yes"});
        stop();
        const std::string theirs = paths.root + "/ostree/deploy/atoll/var.reset-" + revision + "/lib/atoll/updater";
        base::make_directories(theirs);
        base::write_durable(theirs + "/state.json", base::read_file(paths.state_file()));
        base::write_durable(paths.state_file(), ours);
        return revision;
    }();
    BOOST_TEST(power_cut() == second_try);
    BOOST_TEST(state() == "rolled-back");
    const json::object now = status();
    const json::object receipt = now.at("receipts").as_array().back().as_object();
    BOOST_TEST(receipt.at("release").at("revision").as_string() == reset_revision);
    BOOST_TEST(receipt.at("found_by").as_string() == "updaterd");
    BOOST_TEST(receipt.at("condemned").as_bool());
}

BOOST_AUTO_TEST_CASE(errors_have_names) {
    start();
    const std::string address = "--address=unix:path=" + paths.bus_socket;
    const base::RunResult run = base::run({"busctl", address, "--json=short", "call", "org.atoll.Updater1",
                                           "/org/atoll/Updater1", "org.atoll.Updater1", "Pin", "s", "none"});
    BOOST_TEST(run.status.code == 1);
    BOOST_TEST(has(run.errors, "no deployment 'none'"));
    const base::RunResult bad = base::run({"busctl", address, "call", "org.atoll.Updater1", "/org/atoll/Updater1",
                                           "org.atoll.Updater1", "Upgrade", "a{sv}", "1", "force", "i", "1"});
    BOOST_TEST(has(bad.errors, "option force: expected a value of type b, t or as"));
}

BOOST_AUTO_TEST_SUITE_END()
