// What stage 1 makes of GRUB's environment block is such a block again, with everything else in it as it was.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "boot_count.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::string_view revision = "0123456789abcdef";
    std::string block(reinterpret_cast<const char*>(data), size);
    block.resize(init::grub_block_size, '#');
    for (const init::BlockChange change :
         {init::count_begun_boot, init::count_crashed_boot, init::mark_failed, init::end_tries}) {
        init::GrubBlock changed;
        if (!change(block, revision, changed))
            continue;
        if (changed.view().size() != init::grub_block_size || !init::is_grub_block(changed.view()) ||
            init::grub_variable(changed.view(), "ok") != init::grub_variable(block, "ok"))
            std::abort();
        const std::string_view tries = init::grub_variable(changed.view(), "tries");
        if (change == init::end_tries && tries != "0")
            std::abort();
    }
    return 0;
}
