// Image references: what is accepted means the same when it is written out again.
#include "images/reference.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto reference = engine::parse_reference(text);
    if (!reference)
        return 0;
    const auto again = engine::parse_reference(reference->familiar());
    if (!again || again->name() != reference->name() || again->tag != reference->tag ||
        again->digest != reference->digest || reference->name().find("..") != std::string::npos)
        __builtin_trap();
    return 0;
}
