// A log of a disk's writes that was cut off or is nonsense: refused, or every entry's data is inside of it.
#include <cstdlib>

#include "base/error.hpp"
#include "crash/write_log.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        for (const crash::LogEntry& entry : crash::read_write_log({data, size})) {
            if (entry.data == nullptr)
                continue;
            if (entry.data < data || entry.data > data + size)
                std::abort();
            // Marks keep their place, but have no data for a disk.
            if (entry.sectors * crash::sector_size > static_cast<std::size_t>(data + size - entry.data))
                std::abort();
        }
    } catch (const base::Error&) {
    }
    return 0;
}
