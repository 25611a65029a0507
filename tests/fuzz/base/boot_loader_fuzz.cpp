// A manifest from /boot, an EFI image from the ESP and sectors of a disk: refused, or nothing that leads elsewhere.
#include <cstdlib>

#include "base/boot_loader.hpp"
#include "base/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const base::BootLoaderManifest manifest = base::BootLoaderManifest::parse(text, "fuzz");
        if (manifest.id.find('/') != std::string::npos || manifest.id[0] == '.')
            std::abort();
        for (const auto& [path, digest] : manifest.files)
            if (path.empty() || path[0] == '/' || path.find("..") == 0 || path.find("/.") != std::string::npos)
                std::abort();
        if (base::BootLoaderManifest::parse(manifest.serialize(), "again").serialize() != manifest.serialize())
            std::abort();
    } catch (const base::Error&) {
    }
    if (const base::EfiPrefix prefix = base::efi_prefix(text);
        !prefix.id.empty() && !base::is_boot_loader_id(prefix.id))
        std::abort();
    if (base::core_sectors(text, 2048) > 65536)
        std::abort();
    try {
        base::core_place(base::neutral_boot_image(std::string(text.substr(0, base::sector_size))));
    } catch (const base::Error&) {
    }
    return 0;
}
