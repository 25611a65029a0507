// The three-way merges of what a host and two images say: account files and kernel arguments. The parts are separated
// by a byte of 1.
#include <cstdint>
#include <cstdlib>

#include "updater/account_files.hpp"
#include "updater/kernel_arguments.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    std::array<std::string_view, 3> parts;
    for (std::string_view& part : parts) {
        const std::size_t end = std::min(text.find('\1'), text.size());
        part = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    for (const updater::AccountFile file : updater::all_account_files) {
        const updater::MergedAccounts merged = updater::merge_accounts(file, parts[0], parts[1], parts[2]);
        // Merging again what was merged, from the image it was merged with, changes nothing.
        if (updater::merge_accounts(file, parts[2], merged.text, parts[2]).text != merged.text)
            std::abort();
    }
    const auto words = [](std::string_view part) {
        return updater::split_arguments(part);
    };
    const updater::MergedArguments merged = updater::merge_arguments(words(parts[0]), words(parts[1]), words(parts[2]));
    for (const std::string& argument : merged.arguments) {
        if (updater::is_reserved_argument(argument))
            std::abort();
    }
    return 0;
}
