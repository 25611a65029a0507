// Any bytes are an ELF file that needs libraries, none at all, or an error; never a read outside of them.
#include "base/error.hpp"
#include "image/elf.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        image::parse_elf(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz");
    } catch (const base::Error&) {
    }
    return 0;
}
