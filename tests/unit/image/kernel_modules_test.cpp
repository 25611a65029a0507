#include <boost/test/unit_test.hpp>

#include "base/files.hpp"
#include "image/kernel_modules.hpp"
#include "test_files.hpp"

using image::ModuleDependencies;

namespace {

const std::string text = "kernel/a/virtio.ko:\n"
                         "kernel/a/virtio_ring.ko:\n"
                         "kernel/b/virtio-blk.ko: kernel/a/virtio_ring.ko kernel/a/virtio.ko\n"
                         "kernel/b/virtio_net.ko: kernel/n/failover.ko kernel/a/virtio_ring.ko\n"
                         "kernel/n/failover.ko:\n";

std::string joined(const std::vector<std::string>& list) {
    std::string result;
    for (const std::string& one : list)
        result += one.substr(one.rfind('/') + 1) + " ";
    return result;
}

} // namespace

BOOST_AUTO_TEST_SUITE(kernel_modules)

BOOST_AUTO_TEST_CASE(needed_ones_come_first_and_once) {
    const ModuleDependencies modules = ModuleDependencies::parse(text, "modules.dep");
    BOOST_TEST(joined(modules.load_order("virtio_blk")) == "virtio.ko virtio_ring.ko virtio-blk.ko ");
    const std::vector<std::string> both{"virtio-net", "virtio_blk"};
    BOOST_TEST(joined(modules.load_order(both)) == "virtio_ring.ko failover.ko virtio_net.ko virtio.ko virtio-blk.ko ");
    BOOST_TEST(modules.paths().size() == 5U);
    BOOST_TEST(modules.has("virtio_blk"));
    BOOST_TEST(!modules.has("ext4"));
}

BOOST_AUTO_TEST_CASE(unknown_modules_and_broken_lines_are_errors) {
    const ModuleDependencies modules = ModuleDependencies::parse(text, "modules.dep");
    BOOST_TEST(message_of([&] { modules.load_order("nope"); }) ==
               "kernel module nope: the kernel has none of this name");
    BOOST_TEST(
        message_of([] { ModuleDependencies::parse("kernel/x.ko:\nnonsense\n", "m"); }).starts_with("m:2: expected"));
}

BOOST_AUTO_TEST_CASE(there_is_one_kernel) {
    const base::TempDir directory;
    const image::Tree tree(directory.path());
    BOOST_TEST(message_of([&] { image::kernel_version(tree); }).starts_with("no kernel in the tree"));
    tree.make_directories("usr/lib/modules/6.1.0-1");
    BOOST_TEST(image::kernel_version(tree) == "6.1.0-1");
    tree.make_directories("usr/lib/modules/6.1.0-2");
    BOOST_TEST(message_of([&] { image::kernel_version(tree); }).starts_with("two kernels in the tree"));
}

BOOST_AUTO_TEST_SUITE_END()
