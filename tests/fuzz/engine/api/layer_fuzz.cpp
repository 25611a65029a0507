// A layer of anybody's making: nothing is written outside of its directory, which holds the one file that must stay.
#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "images/layer.hpp"
#include "tar_text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string tar = fuzz::tar_of({reinterpret_cast<const char*>(data), size});
    std::string_view rest = tar;
    const base::TempDir directory("fuzz", "/dev/shm");
    base::make_directories(directory / "root");
    const base::UniqueFd root = base::open_file(directory / "root", O_RDONLY | O_DIRECTORY);
    const engine::ByteSource source = [&](char* buffer, std::size_t count) {
        count = std::min(count, rest.size());
        std::memcpy(buffer, rest.data(), count);
        rest.remove_prefix(count);
        return count;
    };
    try {
        engine::extract_layer(source, root.get(), {.bytes = 1 << 20, .entries = 64, .free_bytes = 0}, "layer");
    } catch (const base::Error&) {
    }
    std::size_t names = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory.path()))
        ++names;
    if (names != 1)
        __builtin_trap();
    return 0;
}
