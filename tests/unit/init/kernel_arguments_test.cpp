#include "kernel_arguments.hpp"

#include <boost/test/unit_test.hpp>

#include <string>

using init::KernelArguments;

BOOST_AUTO_TEST_SUITE(kernel_arguments)

BOOST_AUTO_TEST_CASE(reads_a_line_as_grub_passes_it) {
    const KernelArguments arguments = KernelArguments::parse(
        "BOOT_IMAGE=/ostree/atoll-1/vmlinuz root=LABEL=atoll-root ostree=/ostree/boot.1/atoll/ab/0 console=ttyS0 "
        "atoll.rev=0123456789abcdef atoll.trial=90 panic=10 quiet\n");
    BOOST_TEST(arguments.root.view() == "LABEL=atoll-root");
    BOOST_TEST(arguments.root_type.view() == "ext4");
    BOOST_TEST(arguments.deployment.view() == "/ostree/boot.1/atoll/ab/0");
    BOOST_TEST(arguments.revision.view() == "0123456789abcdef");
    BOOST_TEST(arguments.trial_seconds == 90U);
    BOOST_TEST(arguments.panic_seconds == 10);
    BOOST_TEST(!arguments.rescue);
}

BOOST_AUTO_TEST_CASE(nothing_given) {
    for (const char* line : {"", "\n", "   ", "\""}) {
        const KernelArguments arguments = KernelArguments::parse(line);
        BOOST_TEST(arguments.root.empty());
        BOOST_TEST(arguments.deployment.empty());
        BOOST_TEST(arguments.revision.empty());
        BOOST_TEST(arguments.trial_seconds == 600U);
        BOOST_TEST(!arguments.rescue);
    }
}

BOOST_AUTO_TEST_CASE(the_last_counts_and_a_double_dash_ends) {
    const KernelArguments arguments =
        KernelArguments::parse("root=/dev/vda1 root=/dev/vda2 atoll.rescue -- root=/dev/x");
    BOOST_TEST(arguments.root.view() == "/dev/vda2");
    BOOST_TEST(arguments.rescue);
    BOOST_TEST(!KernelArguments::parse("atoll.rescue=1 atoll.rescue=0").rescue);
}

BOOST_AUTO_TEST_CASE(quotes_protect_blanks) {
    const KernelArguments arguments = KernelArguments::parse(R"(root="LABEL=my root" "ostree=/a b" atoll.rev=x)");
    BOOST_TEST(arguments.root.view() == "LABEL=my root");
    BOOST_TEST(arguments.deployment.view() == "/a b");
    BOOST_TEST(arguments.revision.view() == "x");
}

BOOST_AUTO_TEST_CASE(bad_values_count_as_not_given) {
    const KernelArguments arguments =
        KernelArguments::parse("atoll.trial=soon panic=never root=" + std::string(300, 'x') + " rootfstype=");
    BOOST_TEST(arguments.trial_seconds == 600U);
    BOOST_TEST(arguments.panic_seconds == 0);
    BOOST_TEST(arguments.root.empty());
    BOOST_TEST(arguments.root_type.view() == "ext4");
    BOOST_TEST(KernelArguments::parse("rootfstype=" + std::string(300, 'x')).root_type.view() == "ext4");
    BOOST_TEST(KernelArguments::parse("atoll.trial=99999999999").trial_seconds == 600U);
    BOOST_TEST(KernelArguments::parse("panic=-1").panic_seconds == -1);
}

BOOST_AUTO_TEST_CASE(names_must_match_whole) {
    const KernelArguments arguments = KernelArguments::parse("myroot=/dev/a rootx=/dev/b atoll.revx=1 xatoll.rescue");
    BOOST_TEST(arguments.root.empty());
    BOOST_TEST(arguments.revision.empty());
    BOOST_TEST(!arguments.rescue);
}

BOOST_AUTO_TEST_SUITE_END()
