// A block that parses and fits is the same after writing and reading it again.
#include "base/error.hpp"
#include "base/grub_env.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string block(reinterpret_cast<const char*>(data), size);
    block.resize(base::GrubEnv::size, '#');
    try {
        const auto env = base::GrubEnv::parse(block);
        if (base::GrubEnv::parse(env.serialize()).values() != env.values())
            __builtin_trap();
    } catch (const base::Error&) {
    }
    return 0;
}
