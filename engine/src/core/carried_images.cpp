// Images that the OS image carries. One is loaded when a service needs it, and again when its file is another one:
// after an upgrade the name must mean the new image, and after a rollback the old one.
#include <sys/stat.h>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "core/engine_impl.hpp"

namespace engine {

namespace {

namespace json = base::json;

/// What tells one file from another without reading it. A deployment's files are links to the objects of the OS
/// repository, with the time of the epoch: the inode is the object's, and ctime moves when it is linked anew (then it
/// is loaded once more, which is cheap: its layers are there).
std::string identity_of(const std::string& path) {
    struct stat status {};
    base::check(::stat(path.c_str(), &status), "stat " + path);
    return fmt::format("{}:{}:{}.{}", status.st_ino, status.st_size, status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
}

/// File name -> identity of what was loaded last. A file that cannot be read is as none: everything is loaded again.
std::map<std::string, std::string> read_loaded(const std::string& path) {
    std::map<std::string, std::string> loaded;
    try {
        if (const auto text = base::read_file_if_exists(path)) {
            const json::value document = base::parse_json(*text, path);
            const base::JsonObject object(document, path);
            for (const auto& [name, identity] : object.raw())
                loaded[name] = object.string(name);
        }
    } catch (const base::Error& error) {
        base::log_warning("{}; carried images are loaded again", error.what());
        loaded.clear();
    }
    return loaded;
}

} // namespace

void Engine::Impl::load_carried_images(const std::string& wanted) {
    std::lock_guard lock(carried_images_mutex);
    const std::string record = options.state_directory + "/carried-images.json";
    std::map<std::string, std::string> loaded = read_loaded(record);
    bool changed = false;
    std::error_code none; // a host that carries no images has no such directory
    for (const auto& file : std::filesystem::directory_iterator(options.images_directory, none)) {
        const std::string name = file.path().filename(), identity = identity_of(file.path());
        if (file.path().extension() != ".tar" || (loaded[name] == identity && images.resolve(wanted)))
            continue;
        for (const std::string& reference : images.load_file(file.path()))
            base::log_info("carried image {} loaded from {}", reference, file.path().string());
        loaded[name] = identity;
        changed = true;
    }
    if (!changed)
        return;
    json::object document;
    for (const auto& [name, identity] : loaded)
        document[name] = identity;
    base::write_durable(record, json::serialize(document) + "\n", 0600);
}

} // namespace engine
