#include "superblock.hpp"

#include <algorithm>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // Seeds are small: the bytes are also tried where the structures lie on a disk.
    static std::uint8_t disk[init::Superblock::size];
    const std::span<const std::uint8_t> bytes(data, size);
    for (const std::size_t offset : {std::size_t{0}, std::size_t{1024}, std::size_t{32768}}) {
        std::fill(std::begin(disk), std::end(disk), std::uint8_t{0});
        std::copy_n(data, std::min(size, sizeof disk - offset), disk + offset);
        const init::Superblock found = init::Superblock::parse(disk);
        for (const char character : found.label.view()) {
            if (character < 0x20 || character > 0x7e)
                std::abort();
        }
    }
    init::Superblock::parse(bytes);
    init::GptHeader header;
    if (init::parse_gpt_header(bytes, header) && (header.entry_size < 128 || header.entry_size > 4096))
        std::abort();
    init::Text<40> guid;
    if (init::parse_gpt_guid(bytes, guid) && guid.view().size() != 36)
        std::abort();
    return 0;
}
