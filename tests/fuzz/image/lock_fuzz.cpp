// A lock that parses is the same after writing and reading it again.
#include "base/error.hpp"
#include "image/lock.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const image::Lock lock = image::parse_lock(text, "fuzz");
        const image::Lock again = image::parse_lock(image::format_lock(lock), "again");
        if (again.packages != lock.packages || again.date != lock.date || again.digest() != lock.digest())
            __builtin_trap();
    } catch (const base::Error& error) {
        if (!std::string_view(error.what()).starts_with("fuzz:"))
            __builtin_trap(); // what was written by us must be read
    }
    return 0;
}
