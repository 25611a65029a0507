#include <boost/test/unit_test.hpp>

#include "base/boot_loader.hpp"
#include "base/error.hpp"
#include "base/sha256.hpp"

BOOST_AUTO_TEST_SUITE(boot_loader)

BOOST_AUTO_TEST_CASE(boot_image_keeps_the_partition_table_and_points_to_core) {
    std::string boot(512, 'B');
    boot.replace(0x1fe, 2, "\x55\xaa");
    std::string mbr(512, 'M');
    mbr.replace(0x1fe, 2, "\x55\xaa");
    const std::string result = base::patch_boot_image(boot, mbr, 0x0807060504030201);
    BOOST_TEST(result.size() == 512U);
    BOOST_TEST(result.substr(0, 0x5c) == std::string(0x5c, 'B'));
    BOOST_TEST(result.substr(0x5c, 8) == "\x01\x02\x03\x04\x05\x06\x07\x08");
    BOOST_TEST(result.substr(0x64, 2) == "BB");
    BOOST_TEST(result.substr(0x66, 2) == "\x90\x90");
    BOOST_TEST(result.substr(0x68, 0x1b8 - 0x68) == std::string(0x1b8 - 0x68, 'B'));
    BOOST_TEST(result.substr(0x1b8, 0x1fe - 0x1b8) == std::string(0x1fe - 0x1b8, 'M'));
    BOOST_TEST(result.substr(0x1fe) == "\x55\xaa");
}

BOOST_AUTO_TEST_CASE(what_is_no_boot_image_is_refused) {
    const std::string mbr(512, 'M');
    BOOST_CHECK_THROW(base::patch_boot_image(std::string(512, 'B'), mbr, 1), base::Error);
    BOOST_CHECK_THROW(base::patch_boot_image("", mbr, 1), base::Error);
    std::string boot(512, 'B');
    boot.replace(0x1fe, 2, "\x55\xaa");
    BOOST_CHECK_THROW(base::patch_boot_image(boot, "short", 1), base::Error);
}

BOOST_AUTO_TEST_CASE(core_image_says_where_its_second_sector_is) {
    const std::string result = base::patch_core_image(std::string(1500, 'C'), 2048);
    BOOST_TEST(result.size() == 1536U);
    BOOST_TEST(result.substr(0x1f4, 8) == std::string("\x01\x08\0\0\0\0\0\0", 8)); // 2049
    BOOST_TEST(result.substr(0, 0x1f4) == std::string(0x1f4, 'C'));
    BOOST_TEST(result.substr(1500) == std::string(36, '\0'));
    BOOST_CHECK_THROW(base::patch_core_image(std::string(512, 'C'), 2048), base::Error);
}

BOOST_AUTO_TEST_CASE(images_are_the_same_wherever_they_lie) {
    std::string boot(512, 'B');
    boot.replace(0x1fe, 2, "\x55\xaa");
    std::string mbr(512, 'M');
    mbr.replace(0x1fe, 2, "\x55\xaa");
    const std::string there = base::patch_boot_image(boot, mbr, 3072);
    BOOST_TEST(base::core_place(there) == 3072U);
    BOOST_TEST(base::neutral_boot_image(there) == base::neutral_boot_image(boot));
    std::string other = there;
    other[0x100] = 'X';
    BOOST_TEST(base::neutral_boot_image(other) != base::neutral_boot_image(boot));
    const std::string core(1500, 'C');
    BOOST_TEST(base::neutral_core_image(base::patch_core_image(core, 2048)) ==
               base::neutral_core_image(base::patch_core_image(core, 3072)));
}

BOOST_AUTO_TEST_CASE(a_core_image_tells_its_length_where_it_belongs) {
    std::string core(1500, 'C');
    core.replace(0x1e8, 24, std::string(24, '\0'));
    core[0x1fc] = 2; // sectors that follow
    core = base::patch_core_image(core, 3072);
    BOOST_TEST(base::core_sectors(core, 3072) == 3U);
    BOOST_TEST(base::core_sectors(core, 2048) == 0U);
    BOOST_TEST(base::core_sectors(std::string_view(core).substr(0, 511), 3072) == 0U);
    std::string two_lists = core;
    two_lists[0x1f0] = 1;
    BOOST_TEST(base::core_sectors(two_lists, 3072) == 0U);
    std::string empty = core;
    empty[0x1fc] = 0;
    BOOST_TEST(base::core_sectors(empty, 3072) == 0U);
}

BOOST_AUTO_TEST_CASE(an_efi_image_tells_where_it_looks) {
    using namespace std::string_literals;
    BOOST_TEST(base::efi_prefix("MZ..(,gpt3)/grub/2.06-1+deb-0a\0more"s).id == "2.06-1+deb-0a");
    BOOST_TEST(base::efi_prefix("MZ..(,gpt3)/grub\0more"s).found);
    BOOST_TEST(base::efi_prefix("MZ..(,gpt3)/grub\0more"s).id.empty());
    for (const std::string& foreign : {"MZ"s, "(,gpt2)/grub\0"s, "(,gpt3)/grub/../x\0"s, "(,gpt3)/grubx\0"s,
                                       "(,gpt3)/grub/"s + std::string(200, 'a')})
        BOOST_TEST(!base::efi_prefix(foreign).found, foreign);
}

BOOST_AUTO_TEST_CASE(a_manifest_is_read_as_it_was_written) {
    const std::string digest = base::sha256_hex("x");
    const base::BootLoaderManifest manifest{.id = "2.06-1-0a",
                                            .version = "2.06-1",
                                            .boot = digest,
                                            .core = digest,
                                            .efi = digest,
                                            .files = {{"grub.cfg", digest}, {"i386-pc/linux.mod", digest}}};
    const base::BootLoaderManifest read = base::BootLoaderManifest::parse(manifest.serialize(), "m");
    BOOST_TEST(read.id == manifest.id);
    BOOST_TEST(read.serialize() == manifest.serialize());
}

BOOST_AUTO_TEST_CASE(a_manifest_that_leads_elsewhere_is_refused) {
    const std::string digest = base::sha256_hex("x");
    const auto text = [&](const std::string& id, const std::string& path, const std::string& sum) {
        return fmt::format(
            R"({{"format":1,"id":"{}","version":"1","boot":"{}","core":"{}","efi":"{}","files":{{"{}":"{}"}}}})", id,
            digest, digest, digest, path, sum);
    };
    BOOST_CHECK_NO_THROW(base::BootLoaderManifest::parse(text("a", "b/c", digest), "m"));
    for (const char* id : {"", "..", ".a", "a/b", "a b"})
        BOOST_CHECK_THROW(base::BootLoaderManifest::parse(text(id, "b", digest), "m"), base::Error);
    for (const char* path : {"", "/b", "../b", "b/../c", "b/", "b/c/d", "manifest.json"})
        BOOST_CHECK_THROW(base::BootLoaderManifest::parse(text("a", path, digest), "m"), base::Error);
    BOOST_CHECK_THROW(base::BootLoaderManifest::parse(text("a", "b", "12"), "m"), base::Error);
    BOOST_CHECK_THROW(base::BootLoaderManifest::parse(R"({"format":2})", "m"), base::Error);
    BOOST_CHECK_THROW(base::BootLoaderManifest::parse("[]", "m"), base::Error);
}

BOOST_AUTO_TEST_SUITE_END()
