// What is found on the disk after a boot: boot entries, init's note, the lines of a panic, stage 1's count.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "updater/boot_assessment.hpp"
#include "updater/boot_repair.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto entry = updater::BootEntry::parse(text); entry && entry->options.empty())
        __builtin_trap();
    if (const auto note = updater::InitFailure::parse(text); note && note->log.size() > updater::Receipt::max_log_lines)
        __builtin_trap();
    if (updater::parse_panic(text).size() > updater::Receipt::max_log_lines)
        __builtin_trap();
    updater::begun_boots(text, text.substr(0, 16));
    return 0;
}
