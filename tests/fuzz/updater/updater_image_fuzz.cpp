// image.yaml, os-release, kernel arguments and versions: text of an image.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.hpp"
#include "updater/boot_text.hpp"
#include "updater/image_info.hpp"
#include "updater/paths.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const updater::ImageInfo info = updater::ImageInfo::parse(text, "image.yaml");
        if (!info.ref.empty() && !updater::is_valid_ref(info.ref))
            __builtin_trap();
    } catch (const base::Error&) {
    }
    try {
        for (const std::string& argument : updater::next_kernel_arguments(text, "0000000000000001"))
            if (!updater::is_safe_boot_text(argument))
                __builtin_trap();
    } catch (const base::Error&) {
    }
    updater::os_release_value(text, "NAME");
    updater::kernel_argument(text, "atoll.rev");
    const std::string_view half = text.substr(0, size / 2);
    const std::string_view rest = text.substr(size / 2);
    const int order = updater::compare_versions(half, rest);
    const int reversed = updater::compare_versions(rest, half);
    if ((order > 0) != (reversed < 0) || (order == 0) != (reversed == 0))
        __builtin_trap();
    return 0;
}
