#include "modules.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // The first line is the name that is looked for, the rest is modules.dep.
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    const auto name = init::next_part(rest, '\n');
    if (!name)
        return 0;
    init::ModuleDependencies found;
    if (init::find_module(rest, init::list_entry(*name), found)) {
        const bool leaves = found.path.starts_with('/') || found.path.find("..") != std::string_view::npos ||
                            found.needs.find("..") != std::string_view::npos;
        if (leaves || !found.path.ends_with(".ko"))
            std::abort();
    }
    return 0;
}
