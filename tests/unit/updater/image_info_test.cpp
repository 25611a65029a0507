#include <boost/test/unit_test.hpp>

#include "base/config_reader.hpp"
#include "updater/image_info.hpp"

using namespace updater;

BOOST_AUTO_TEST_SUITE(updater_image_info)

BOOST_AUTO_TEST_CASE(what_is_read) {
    const ImageInfo info =
        ImageInfo::parse("name: atoll\nversion: \"1.2\"\nref: atoll/x86_64/stable\npackages: [a, b]\n"
                         "update: {threshold: 2, later: x}\n",
                         "image.yaml");
    BOOST_TEST(info.name == "atoll");
    BOOST_TEST(info.version == "1.2");
    BOOST_TEST(info.ref == "atoll/x86_64/stable");
    BOOST_TEST(info.threshold == 2);
    BOOST_TEST(ImageInfo::parse("name: atoll\n", "image.yaml").threshold == 1);
    BOOST_TEST(ImageInfo::load("/nowhere/image.yaml").ref.empty());
}

BOOST_AUTO_TEST_CASE(what_is_refused) {
    for (const char* bad : {"[", "ref: ../x\n", "update: {threshold: 0}\n", "update: {threshold: many}\n",
                            "name: [a]\n", "ref: a\nref: b\n"})
        BOOST_CHECK_THROW(ImageInfo::parse(bad, "image.yaml"), base::ConfigError);
}

BOOST_AUTO_TEST_CASE(names_of_streams) {
    for (const char* good : {"a", "atoll/x86_64/stable", "a-b.c_d/1"})
        BOOST_TEST(is_valid_ref(good));
    for (const char* bad :
         {"", "/", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a/.b", "-a", "a b", "a?b", "a%2fb", "a\nb", "a:b"})
        BOOST_TEST(!is_valid_ref(bad));
    BOOST_TEST(!is_valid_ref(std::string(300, 'a')));
}

BOOST_AUTO_TEST_SUITE_END()
