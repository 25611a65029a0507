#include "updater/paths.hpp"

namespace updater {

Paths Paths::below(const std::string& directory) {
    Paths paths;
    if (directory == "/")
        return paths;
    paths.root = directory;
    for (std::string* path :
         {&paths.boot, &paths.grub_env, &paths.grub_good, &paths.state_directory, &paths.command_line, &paths.boot_id,
          &paths.trusted_keys, &paths.revoked_keys, &paths.machine_id, &paths.image_yaml, &paths.host_yaml,
          &paths.bus_socket, &paths.engine_socket, &paths.init_socket, &paths.init_failure, &paths.last_panic,
          &paths.good_revision, &paths.boot_loader, &paths.boot_loader_answer})
        path->insert(0, directory);
    return paths;
}

std::string kernel_argument(std::string_view command_line, std::string_view name) {
    std::string value;
    while (!command_line.empty()) {
        const std::size_t end = std::min(command_line.find_first_of(" \t\n"), command_line.size());
        const std::string_view word = command_line.substr(0, end);
        command_line.remove_prefix(std::min(end + 1, command_line.size()));
        if (word.size() > name.size() && word.starts_with(name) && word[name.size()] == '=')
            value = word.substr(name.size() + 1);
    }
    return value;
}

} // namespace updater
