#include "runtime/names.hpp"

#include <linux/capability.h>
#include <sched.h>
#include <signal.h>

#include <boost/test/unit_test.hpp>

#include "runtime/mount_options.hpp"

using namespace engine::runtime;

BOOST_AUTO_TEST_SUITE(names)

BOOST_AUTO_TEST_CASE(capabilities_have_the_kernels_numbers) {
    BOOST_TEST(capability_number("CAP_CHOWN").value() == unsigned{CAP_CHOWN});
    BOOST_TEST(capability_number("CAP_SYS_ADMIN").value() == unsigned{CAP_SYS_ADMIN});
    BOOST_TEST(capability_number("CAP_CHECKPOINT_RESTORE").value() == unsigned{CAP_CHECKPOINT_RESTORE});
    BOOST_TEST(!capability_number("SYS_ADMIN"));
    BOOST_TEST(capability_number("CAP_BPF").value() == unsigned{CAP_BPF});
    BOOST_TEST(last_kernel_capability() >= unsigned{CAP_BPF});
}

BOOST_AUTO_TEST_CASE(signals_by_every_usual_spelling) {
    for (const char* spelling : {"KILL", "SIGKILL", "sigkill", "9"})
        BOOST_TEST(signal_number(spelling).value() == SIGKILL);
    BOOST_TEST(signal_number("RTMIN+3").value() == SIGRTMIN + 3);
    BOOST_TEST(signal_number("SIGRTMAX-1").value() == SIGRTMAX - 1);
    BOOST_TEST(signal_number("RTMIN").value() == SIGRTMIN);
    BOOST_TEST(signal_number("0").value() == 0);
    for (const char* wrong : {"", "65", "-1", "KILLER", "RTMIN-1", "RTMIN+99", "9x", "SIG"})
        BOOST_TEST(!signal_number(wrong), wrong);
}

BOOST_AUTO_TEST_CASE(namespaces_by_type_and_flag) {
    for (const std::string& type : namespace_types())
        BOOST_TEST(namespace_type(namespace_flag(type).value()) == type);
    BOOST_TEST(namespace_file(CLONE_NEWNS) == "mnt");
    BOOST_TEST(!namespace_flag("mnt"));
}

BOOST_AUTO_TEST_CASE(options_that_need_what_we_have_not_are_refused) {
    for (const char* option : {"move", "move=x"}) {
        MountOptions options;
        BOOST_TEST(!apply_mount_option(options, option), option);
    }
    MountOptions options;
    BOOST_TEST(apply_mount_option(options, "movement"));
    BOOST_TEST(options.data.size() == 1U);
}

BOOST_AUTO_TEST_CASE(every_option_of_the_specification_is_known) {
    const std::vector<std::string> known = known_mount_options();
    for (const char* option :
         {"async",      "atime",        "bind",           "defaults",   "dev",          "diratime",   "dirsync",
          "exec",       "iversion",     "lazytime",       "loud",       "mand",         "noatime",    "nodev",
          "nodiratime", "noexec",       "noiversion",     "nolazytime", "nomand",       "norelatime", "nostrictatime",
          "nosuid",     "nosymfollow",  "private",        "ratime",     "rbind",        "rdev",       "rdiratime",
          "relatime",   "remount",      "rexec",          "rnoatime",   "rnodiratime",  "rnoexec",    "rnorelatime",
          "rnosuid",    "rnosymfollow", "rnostrictatime", "ro",         "rprivate",     "rrelatime",  "rro",
          "rrw",        "rshared",      "rslave",         "rsuid",      "rstrictatime", "rsymfollow", "runbindable",
          "rw",         "shared",       "silent",         "slave",      "strictatime",  "suid",       "symfollow",
          "sync",       "tmpcopyup",    "unbindable",     "idmap",      "ridmap",       "rnodev"})
        BOOST_TEST(std::count(known.begin(), known.end(), option) == 1, option);
    for (const std::string& option : known) {
        MountOptions options;
        BOOST_TEST(apply_mount_option(options, option), option);
        const bool is_data = option == "dirsync" || option == "lazytime" || option == "nolazytime" || option == "sync";
        BOOST_TEST(options.data.empty() == !is_data, option);
    }
}

BOOST_AUTO_TEST_SUITE_END()
