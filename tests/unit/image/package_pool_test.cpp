#include <boost/test/unit_test.hpp>

#include "base/files.hpp"
#include "base/sha256.hpp"
#include "image/packages.hpp"
#include "test_files.hpp"

namespace {

image::LockedPackage package_of(const std::string& content) {
    return {"p", "1", "amd64", base::sha256_hex(content), content.size(), "pool/p.deb"};
}

} // namespace

BOOST_AUTO_TEST_SUITE(package_pool)

BOOST_AUTO_TEST_CASE(what_is_there_needs_no_network) {
    const base::TempDir directory;
    const image::PackagePool pool(directory.path());
    const image::LockedPackage package = package_of("content");
    BOOST_TEST(!pool.has(package));
    base::write_durable(pool.path_of(package), "content");
    BOOST_TEST(pool.has(package));
    BOOST_CHECK_NO_THROW(pool.fetch({package}));
}

BOOST_AUTO_TEST_CASE(another_content_is_refused_by_name) {
    const base::TempDir directory;
    const image::PackagePool pool(directory.path());
    const image::LockedPackage package = package_of("content");
    base::write_durable(pool.path_of(package), "c0ntent");
    const std::string digest = message_of([&] { pool.fetch({package}); });
    BOOST_TEST(digest.find("p_1_amd64.deb: digest ") != std::string::npos, digest);
    BOOST_TEST(digest.find(package.sha256) != std::string::npos, digest);
    base::write_durable(pool.path_of(package), "cut");
    const std::string size = message_of([&] { pool.fetch({package}); });
    BOOST_TEST(size.find("3 bytes, but 7 are locked") != std::string::npos, size);
}

BOOST_AUTO_TEST_SUITE_END()
