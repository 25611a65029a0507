#include "delta_download.hpp"

#include <ostree.h>

#include "base/files.hpp"
#include "base/sha256.hpp"
#include "glib_owner.hpp"

namespace updater {

namespace {

constexpr const char* superblock_type = "(a{sv}tayay(a{sv}aya(say)sstayay)aya(uayttay)a(yaytt))";
constexpr std::size_t max_parts = 10'000;

struct Part {
    std::uint64_t size = 0;
    std::string sha256;
};

std::string hex_of(GVariant* bytes) {
    gsize size = 0;
    const auto* data = static_cast<const std::uint8_t*>(g_variant_get_fixed_array(bytes, &size, 1));
    return base::to_hex({data, size});
}

std::vector<Part> parts_of(const std::string& file, const ChannelDelta& delta) {
    const std::string content = base::read_file(file, Channel::max_superblock_bytes);
    const GVariantOwner superblock(g_variant_ref_sink(g_variant_new_from_data(
        G_VARIANT_TYPE(superblock_type), content.data(), content.size(), FALSE, nullptr, nullptr)));
    if (!g_variant_is_normal_form(superblock.get()))
        throw base::Error("static delta: the superblock is not in normal form");
    const GVariantOwner from(g_variant_get_child_value(superblock.get(), 2));
    const GVariantOwner to(g_variant_get_child_value(superblock.get(), 3));
    if (hex_of(from.get()) != delta.from || hex_of(to.get()) != delta.to)
        throw base::Error("static delta: the superblock is of other commits");
    const GVariantOwner entries(g_variant_get_child_value(superblock.get(), 6));
    const gsize count = g_variant_n_children(entries.get());
    if (count > max_parts)
        throw base::Error(fmt::format("static delta: {} parts", count));
    std::vector<Part> parts;
    std::uint64_t total = content.size();
    for (gsize index = 0; index < count; ++index) {
        const GVariantOwner entry(g_variant_get_child_value(entries.get(), index));
        const GVariantOwner digest(g_variant_get_child_value(entry.get(), 1));
        Part part;
        g_variant_get_child(entry.get(), 2, "t", &part.size);
        part.sha256 = hex_of(digest.get());
        if (part.size > delta.size || total + part.size > delta.size)
            throw base::Error("static delta: the parts are larger than was announced");
        total += part.size;
        parts.push_back(std::move(part));
    }
    if (total != delta.size)
        throw base::Error(
            fmt::format("static delta: {} bytes were announced, superblock and parts are {}", delta.size, total));
    return parts;
}

std::string short_name(const std::string& checksum) {
    std::array<guchar, OSTREE_SHA256_DIGEST_LEN> bytes{};
    ostree_checksum_inplace_to_bytes(checksum.c_str(), bytes.data());
    return GString(ostree_checksum_b64_from_bytes(bytes.data())).get();
}

} // namespace

std::string delta_path(const std::string& from, const std::string& to, const std::string& name) {
    const std::string start = short_name(from);
    return fmt::format("deltas/{}/{}-{}/{}", start.substr(0, 2), start.substr(2), short_name(to), name);
}

void fetch_delta(const Remote& remote, const ChannelDelta& delta, const std::string& directory,
                 const std::function<void(std::uint64_t)>& progress) {
    base::make_directories(directory, 0700);
    const auto fetch = [&](const std::string& name, std::uint64_t size, const std::string& sha256) {
        remote.fetch_file(delta_path(delta.from, delta.to, name), size, sha256, directory + "/" + name, progress);
    };
    fetch("superblock", delta.superblock_size, delta.sha256);
    const std::vector<Part> parts = parts_of(directory + "/superblock", delta);
    for (std::size_t index = 0; index < parts.size(); ++index)
        fetch(std::to_string(index), parts[index].size, parts[index].sha256);
}

} // namespace updater
