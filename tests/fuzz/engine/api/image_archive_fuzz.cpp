// An image archive of anybody's making: unpacked side by side, its manifests and configurations read, its layers'
// names looked up.
#include <fcntl.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "images/image_archive.hpp"
#include "images/image_config.hpp"
#include "tar_text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string tar = fuzz::tar_of({reinterpret_cast<const char*>(data), size});
    std::string_view rest = tar;
    const base::TempDir directory("fuzz", "/dev/shm");
    const base::UniqueFd fd = base::open_file(directory.path(), O_RDONLY | O_DIRECTORY);
    const engine::ByteSource source = [&](char* buffer, std::size_t count) {
        count = std::min(count, rest.size());
        std::memcpy(buffer, rest.data(), count);
        rest.remove_prefix(count);
        return count;
    };
    try {
        const engine::ImageArchive archive(source, fd.get(), {.bytes = 1 << 20, .files = 64, .json_bytes = 1 << 16});
        for (const engine::ArchivedImage& image : archive.images()) {
            for (const std::string& layer : image.layers) {
                try {
                    archive.open(layer);
                } catch (const base::Error&) {
                }
            }
            engine::parse_image_config(image.config);
        }
    } catch (const base::Error&) {
    }
    return 0;
}
