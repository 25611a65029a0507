// Key files, and signatures over whatever: nothing but base::Error may come out.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.hpp"
#include "updater/trust.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const updater::TrustedKeys keys(updater::parse_keys(text, "keys"), {});
        if (keys.keys().size() < 4 && keys.count_good(text, {std::string(text.substr(0, 64))}) != 0)
            __builtin_trap(); // a signature that signs itself
    } catch (const base::Error&) {
        return 0;
    }
    return 0;
}
