#include "rescue.hpp"

#include "files.hpp"

namespace init {

void find_console(TextBuffer& path) noexcept {
    Text<256> active;
    path.clear();
    if (read_text("/sys/class/tty/console/active", active) == 0) {
        std::string_view name = trimmed(active.view());
        if (const std::size_t blank = name.rfind(' '); blank != std::string_view::npos)
            name = skip(name, blank + 1);
        path.put("/dev/", name);
        if (!name.empty() && exists(path.c_str()))
            return;
    }
    path.clear();
    path.add("/dev/console");
}

} // namespace init
