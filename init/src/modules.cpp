#include "modules.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.hpp"
#include "files.hpp"
#include "log.hpp"

namespace init {

namespace {

constexpr std::size_t max_dependency_file = std::size_t{8} * 1024 * 1024; // a whole Debian kernel: 0.6 MB

using ListText = Text<std::size_t{64} * 1024>;

/// Static: the stack is no place for it, and PID 1 has one thread.
ListText& list_buffer() noexcept {
    static ListText buffer;
    buffer.clear();
    return buffer;
}

/// Asked before the kernel is: finit_module(2) reads the file and checks its signature, 10 ms and more, before it says
/// EEXIST, and the modules of a list share most of what they need.
bool is_loaded(std::string_view path) noexcept {
    if (const std::size_t slash = path.rfind('/'); slash != std::string_view::npos)
        path.remove_prefix(slash + 1);
    if (path.ends_with(".ko"))
        path.remove_suffix(3);
    Text<256> directory("/sys/module/");
    for (const char character : path)
        directory.add(character == '-' ? '_' : character);
    return exists(directory.c_str());
}

} // namespace

bool is_module_file(std::string_view path, std::string_view name) noexcept {
    if (const std::size_t slash = path.rfind('/'); slash != std::string_view::npos)
        path.remove_prefix(slash + 1);
    if (!path.ends_with(".ko"))
        return false;
    path.remove_suffix(3);
    if (path.size() != name.size() || name.empty())
        return false;
    for (std::size_t i = 0; i < path.size(); ++i) {
        const auto normal = [](char character) {
            return character == '-' ? '_' : character;
        };
        if (normal(path[i]) != normal(name[i]))
            return false;
    }
    return true;
}

bool find_module(std::string_view modules_dep, std::string_view name, ModuleDependencies& found) noexcept {
    std::string_view rest = modules_dep;
    while (const auto line = next_part(rest, '\n')) {
        const std::size_t colon = line->find(':');
        if (colon == std::string_view::npos)
            continue;
        const std::string_view path(line->data(), colon);
        if (!is_module_file(path, name) || line->starts_with('/') || line->find("..") != std::string_view::npos)
            continue;
        found = {path, trimmed(skip(*line, colon + 1))};
        return true;
    }
    return false;
}

std::string_view list_entry(std::string_view line) noexcept {
    if (const std::size_t comment = line.find('#'); comment != std::string_view::npos)
        line.remove_suffix(line.size() - comment);
    return trimmed(line);
}

int load_module_file(const char* path) noexcept {
    const base::UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
    if (!fd)
        return errno;
    if (::syscall(SYS_finit_module, fd.get(), "", 0) == 0 || errno == EEXIST)
        return 0;
    return errno;
}

void load_module_paths(const char* list_file) noexcept {
    ListText& text = list_buffer();
    const int error = read_text(list_file, text);
    if (error == ENOENT)
        return;
    if (error != 0 || text.truncated())
        log_error("read ", list_file, ": ", Errno{error != 0 ? error : EFBIG});
    std::string_view rest = text.view();
    while (const auto line = next_part(rest, '\n')) {
        const Path path(list_entry(*line));
        if (path.empty())
            continue;
        const int failure = load_module_file(path.c_str());
        if (failure == ENODEV) // the list is for every machine: efi_pstore on one with BIOS
            log_info("load module ", path.view(), ": ", Errno{failure});
        else if (failure != 0)
            log_error("load module ", path.view(), ": ", Errno{failure});
    }
}

ModuleLoader::ModuleLoader(const char* directory) noexcept {
    utsname system{};
    ::uname(&system);
    root_.put(directory, "/", static_cast<const char*>(system.release), "/");
    const Path path(root_.view(), "modules.dep");
    const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0) {
        log_error("open ", path.view(), ": ", Errno{errno});
        return;
    }
    if (status.st_size <= 0 || static_cast<std::size_t>(status.st_size) > max_dependency_file) {
        log_error(path.view(), ": unlikely size ", status.st_size, ", no modules are loaded");
        return;
    }
    const auto size = static_cast<std::size_t>(status.st_size);
    void* map = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (map == MAP_FAILED) {
        log_error("map ", path.view(), ": ", Errno{errno});
        return;
    }
    map_ = static_cast<const char*>(map);
    size_ = size;
}

ModuleLoader::~ModuleLoader() {
    if (map_ != nullptr)
        ::munmap(const_cast<char*>(map_), size_);
}

bool ModuleLoader::is_builtin(std::string_view name) const noexcept {
    const Path path(root_.view(), "modules.builtin");
    ListText& text = list_buffer();
    if (read_text(path.c_str(), text) != 0)
        return false;
    std::string_view rest = text.view();
    while (const auto line = next_part(rest, '\n')) {
        if (is_module_file(*line, name))
            return true;
    }
    return false;
}

int ModuleLoader::load(std::string_view name) noexcept {
    ModuleDependencies module;
    if (map_ == nullptr || !find_module({map_, size_}, name, module)) {
        if (is_builtin(name))
            return 0;
        log_warning("module ", name, ": not in ", root_.view(), "modules.dep");
        return ENOENT;
    }
    std::string_view needs = module.needs;
    while (!needs.empty()) {
        const std::size_t blank = needs.rfind(' ');
        const std::string_view path = blank == std::string_view::npos ? needs : skip(needs, blank + 1);
        needs = blank == std::string_view::npos ? std::string_view() : std::string_view(needs.data(), blank);
        if (path.empty() || is_loaded(path))
            continue;
        const Path file(root_.view(), path);
        if (const int error = load_module_file(file.c_str()); error != 0) {
            log_error("load module ", file.view(), " (needed by ", name, "): ", Errno{error});
            return error;
        }
    }
    if (is_loaded(module.path))
        return 0;
    const Path file(root_.view(), module.path);
    const int error = load_module_file(file.c_str());
    if (error != 0)
        log_error("load module ", file.view(), ": ", Errno{error});
    return error;
}

void ModuleLoader::load_list(const char* list_file) noexcept {
    // A copy of its own: `load` uses the shared buffer for modules.builtin.
    static Text<std::size_t{16} * 1024> text;
    text.clear();
    const int error = read_text(list_file, text);
    if (error != 0 || text.truncated())
        log_error("read ", list_file, ": ", Errno{error != 0 ? error : EFBIG});
    const Msec start = now_msec();
    std::size_t count = 0;
    std::string_view rest = text.view();
    while (const auto line = next_part(rest, '\n')) {
        const std::string_view name = list_entry(*line);
        if (!name.empty() && load(name) == 0)
            ++count;
    }
    log_info(count, " modules loaded in ", now_msec() - start, " ms");
}

} // namespace init
