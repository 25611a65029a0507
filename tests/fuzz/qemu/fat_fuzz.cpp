// An ESP that somebody has changed: refused, or read without leaving it and without end. The input says what is changed
// in a small file system that is whole: {u16 offset, u8 length, bytes}, little endian, again and again.
#include <array>
#include <cstdlib>
#include <cstring>

#include "base/error.hpp"
#include "crash/fat.hpp"
#include "crash/write_log.hpp"

namespace {

constexpr std::uint64_t sectors = 64;
using Image = std::array<std::uint8_t, sectors * crash::sector_size>;

void put(Image& image, std::size_t at, std::string_view bytes) {
    std::memcpy(image.data() + at, bytes.data(), bytes.size());
}

/// FAT12: boot sector, one table, one sector of root directory; EFI, EFI/BOOT, and a file of three clusters.
Image whole() {
    using namespace std::string_view_literals;
    Image image{};
    constexpr std::size_t table = 512;
    constexpr std::size_t root = 1024;
    constexpr std::size_t data = 1536;
    put(image, 11, "\x00\x02\x01\x01\x00\x01\x10\x00\x40\x00\xf8\x01\x00"sv);
    put(image, 510, "\x55\xaa"sv);
    put(image, table, "\xf8\xff\xff\xff\xff\xff\x05\x60\x00\xff\x0f\x00"sv); // 2: end, 3: end, 4 -> 5 -> 6: end
    put(image, root, "EFI        \x10"sv);
    image[root + 26] = 2;
    put(image, data, "BOOT       \x10"sv);
    image[data + 26] = 3;
    put(image, data + 512, "BOOTX64 EFI\x20"sv);
    image[data + 512 + 26] = 4;
    put(image, data + 512 + 28, "\x80\x05"sv); // 1408
    return image;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Image image = whole();
    for (std::size_t at = 0; at + 3 <= size;) {
        const std::size_t place = data[at] + 256U * data[at + 1];
        const std::size_t length = std::min<std::size_t>(data[at + 2], size - at - 3);
        if (place < image.size())
            std::memcpy(image.data() + place, data + at + 3, std::min(length, image.size() - place));
        at += 3 + length;
    }
    const auto read = [&](std::uint64_t first, std::uint64_t count, std::uint8_t* into) {
        if (first > sectors || count > sectors - first)
            throw base::Error("beyond the end");
        std::memcpy(into, image.data() + first * crash::sector_size, count * crash::sector_size);
    };
    try {
        const crash::Fat fat(read, sectors);
        const std::string contradiction = fat.contradiction("EFI/BOOT/NEWX64.EFI");
        const auto entry = fat.find("EFI/BOOT/BOOTX64.EFI");
        if (size == 0 && (!contradiction.empty() || !entry || entry->size != 1408))
            std::abort();
        if (entry && fat.read(*entry, 1U << 20U).size() != entry->size)
            std::abort();
    } catch (const base::Error&) {
        if (size == 0)
            std::abort();
    }
    return 0;
}
