#include "evil_commit.hpp"

#include <glib.h>

#include "base/files.hpp"
#include "base/process.hpp"
#include "base/sha256.hpp"

namespace updater_test {

namespace {

constexpr std::int64_t build_time = 1'800'000'001;

std::string bytes_of(GVariant* variant) {
    g_variant_ref_sink(variant);
    std::string bytes(static_cast<const char*>(g_variant_get_data(variant)), g_variant_get_size(variant));
    g_variant_unref(variant);
    return bytes;
}

std::string raw(const std::string& hex) {
    std::string bytes;
    for (std::size_t index = 0; index < hex.size(); index += 2)
        bytes += static_cast<char>(std::stoi(hex.substr(index, 2), nullptr, 16));
    return bytes;
}

GVariant* byte_array(const std::string& bytes) {
    return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, bytes.data(), bytes.size(), 1);
}

std::string varint(std::uint64_t value) {
    std::string bytes;
    for (; value >= 128; value >>= 7U)
        bytes += static_cast<char>((value & 127U) | 128U);
    return bytes + static_cast<char>(value);
}

GVariant* no_attributes() {
    return g_variant_new_array(G_VARIANT_TYPE("(ayay)"), nullptr, 0);
}

/// Length in network order, padding to eight bytes, the header.
std::string with_length(const std::string& header) {
    const std::uint32_t size = GUINT32_TO_BE(static_cast<std::uint32_t>(header.size()));
    return std::string(reinterpret_cast<const char*>(&size), 4) + std::string(4, '\0') + header;
}

} // namespace

std::string EvilRepository::store(const std::string& checksum, const std::string& extension, const std::string& bytes) {
    const std::string folder = directory_ + "/objects/" + checksum.substr(0, 2);
    base::make_directories(folder);
    base::write_durable(folder + "/" + checksum.substr(2) + "." + extension, bytes);
    return checksum;
}

std::string EvilRepository::file(std::uint32_t mode, const std::string& content) {
    const std::string header =
        bytes_of(g_variant_new("(uuuus@a(ayay))", 0U, 0U, GUINT32_TO_BE(mode), 0U, "", no_attributes()));
    const std::string checksum = base::sha256_hex(with_length(header) + content);
    const std::string archived =
        bytes_of(g_variant_new("(tuuuus@a(ayay))", GUINT64_TO_BE(static_cast<std::uint64_t>(content.size())), 0U, 0U,
                               GUINT32_TO_BE(mode), 0U, "", no_attributes()));
    // A deflate stream of stored blocks.
    std::string deflated;
    constexpr std::size_t most = 65535;
    std::size_t at = 0;
    do {
        const std::size_t size = std::min(most, content.size() - at);
        deflated += static_cast<char>(at + size == content.size() ? 1 : 0);
        for (const std::size_t number : {size, ~size})
            deflated += {static_cast<char>(number & 255U), static_cast<char>(number >> 8U & 255U)};
        deflated += content.substr(at, size);
        at += size;
    } while (at < content.size());
    const std::string object = with_length(archived) + deflated;
    entries_.push_back(raw(checksum) + varint(object.size()) + varint(content.size()) + '\1');
    return store(checksum, "filez", object);
}

std::string EvilRepository::meta(std::uint32_t mode) {
    const std::string bytes = bytes_of(g_variant_new("(uuu@a(ayay))", 0U, 0U, GUINT32_TO_BE(mode), no_attributes()));
    const std::string checksum = base::sha256_hex(bytes);
    entries_.push_back(raw(checksum) + varint(bytes.size()) + varint(bytes.size()) + '\3');
    return store(checksum, "dirmeta", bytes);
}

std::string EvilRepository::tree(const std::vector<std::pair<std::string, std::string>>& files,
                                 const std::vector<Directory>& directories) {
    GVariantBuilder file_list;
    g_variant_builder_init(&file_list, G_VARIANT_TYPE("a(say)"));
    for (const auto& [name, checksum] : files)
        g_variant_builder_add(&file_list, "(s@ay)", name.c_str(), byte_array(raw(checksum)));
    GVariantBuilder directory_list;
    g_variant_builder_init(&directory_list, G_VARIANT_TYPE("a(sayay)"));
    for (const Directory& directory : directories)
        g_variant_builder_add(&directory_list, "(s@ay@ay)", directory.name.c_str(), byte_array(raw(directory.tree)),
                              byte_array(raw(directory.meta)));
    const std::string bytes = bytes_of(
        g_variant_new("(@a(say)@a(sayay))", g_variant_builder_end(&file_list), g_variant_builder_end(&directory_list)));
    const std::string checksum = base::sha256_hex(bytes);
    entries_.push_back(raw(checksum) + varint(bytes.size()) + varint(bytes.size()) + '\2');
    return store(checksum, "dirtree", bytes);
}

std::string EvilRepository::commit(const std::string& tree, const std::string& meta) {
    std::sort(entries_.begin(), entries_.end());
    GVariantBuilder sizes;
    g_variant_builder_init(&sizes, G_VARIANT_TYPE("aay"));
    for (const std::string& entry : entries_)
        g_variant_builder_add_value(&sizes, byte_array(entry));
    GVariantBuilder metadata;
    g_variant_builder_init(&metadata, G_VARIANT_TYPE("a{sv}"));
    g_variant_builder_add(&metadata, "{sv}", "version", g_variant_new_string("2"));
    const char* refs[] = {"atoll/stable", nullptr};
    g_variant_builder_add(&metadata, "{sv}", "ostree.ref-binding", g_variant_new_strv(refs, 1));
    g_variant_builder_add(&metadata, "{sv}", "ostree.sizes", g_variant_builder_end(&sizes));
    const std::string bytes = bytes_of(g_variant_new(
        "(@a{sv}@ay@a(say)sst@ay@ay)", g_variant_builder_end(&metadata), byte_array({}),
        g_variant_new_array(G_VARIANT_TYPE("(say)"), nullptr, 0), "evil", "",
        GUINT64_TO_BE(static_cast<std::uint64_t>(build_time)), byte_array(raw(tree)), byte_array(raw(meta))));
    return store(base::sha256_hex(bytes), "commit", bytes);
}

} // namespace updater_test
