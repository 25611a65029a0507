#include "kernel_arguments.hpp"

#include <cstdlib>
#include <string_view>

#include "grub_block.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const init::KernelArguments arguments = init::KernelArguments::parse(text);
    if (arguments.trial_seconds > 7 * 24 * 3600 || arguments.root_type.empty() || arguments.root.truncated())
        std::abort();
    // GRUB's environment block comes from the same place.
    const std::string_view ok = init::grub_variable(text, "ok");
    if (ok.find('\n') != std::string_view::npos)
        std::abort();
    return 0;
}
