// Files of containers: docker cp, export, diff.
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "api/json_answer.hpp"
#include "api/rootfs_path.hpp"
#include "api/routes.hpp"
#include "api/time_text.hpp"
#include "base/files.hpp"
#include "base/sha256.hpp"
#include "images/layer.hpp"
#include "images/tar_writer.hpp"

namespace engine::api {
namespace {

/// Go's os.FileMode, which the client reads.
std::uint32_t go_mode(mode_t mode) {
    std::uint32_t result = mode & 0777;
    const auto set = [&](bool condition, unsigned bit) {
        result |= condition ? std::uint32_t{1} << bit : 0;
    };
    set(S_ISDIR(mode), 31);
    set(S_ISLNK(mode), 27);
    set(S_ISBLK(mode) || S_ISCHR(mode), 26);
    set(S_ISFIFO(mode), 25);
    set(S_ISSOCK(mode), 24);
    set((mode & S_ISUID) != 0, 23);
    set((mode & S_ISGID) != 0, 22);
    set(S_ISCHR(mode), 21);
    set((mode & S_ISVTX) != 0, 20);
    return result;
}

std::string path_stat(const RootfsPath& path) {
    const TimePoint modified{std::chrono::seconds(path.status.st_mtim.tv_sec) +
                             std::chrono::nanoseconds(path.status.st_mtim.tv_nsec)};
    return base::base64_encode(json::serialize(json::object{{"name", path.shown_name},
                                                            {"size", path.status.st_size},
                                                            {"mode", go_mode(path.status.st_mode)},
                                                            {"mtime", rfc3339(modified)},
                                                            {"linkTarget", path.link_target}}));
}

std::string wanted_path(const Call& call) {
    std::string path = call.request.query_value("path");
    if (path.empty())
        throw HttpError(400, "missing parameter: path");
    return path;
}

/// The running container's root, or its layers mounted for the time of the call.
void with_path(Call& call, const std::function<void(const RootfsPath&)>& use) {
    const ContainerInfo info = call.context.engine.get(call.parameter());
    const std::string path = wanted_path(call);
    call.context.engine.with_rootfs(info.id, [&](const std::string& root) {
        const auto found = find_in_rootfs(root, path);
        if (!found)
            throw HttpError(404, fmt::format("Could not find the file {} in container {}", path, call.parameter()));
        use(*found);
    });
}

void stat_path(Call& call) {
    with_path(call, [&](const RootfsPath& path) {
        call.response.send(200, "", "application/x-tar", {{"X-Docker-Container-Path-Stat", path_stat(path)}});
    });
}

void get_archive(Call& call) {
    with_path(call, [&](const RootfsPath& path) {
        call.response.begin(200, "application/x-tar", {{"X-Docker-Container-Path-Stat", path_stat(path)}});
        TarWriter tar([&](std::string_view data) { call.response.write(data); });
        tar.add_tree(path.directory.get(), path.base_name, path.archive_name);
        tar.finish();
        call.response.end();
    });
}

/// Changing a container's files is changing the container: the engine's own rule, asked for where it has no call.
void check_may_change(const Call& call, const ContainerInfo& info) {
    if (info.system() && !call.caller.may_change_system)
        throw HttpError(403,
                        fmt::format("container {} is part of the system; it is changed by enginectl only", info.name));
}

void unpack(Call& call) {
    check_may_change(call, call.context.engine.get(call.parameter()));
    with_path(call, [&](const RootfsPath& path) {
        const base::UniqueFd target = path.open_directory();
        if (!target)
            throw HttpError(400, "extraction point is not a directory");
        try {
            unpack_into([&](char* buffer, std::size_t size) { return call.request.read_body(buffer, size); },
                        target.get(), LayerLimits{}, "archive");
        } catch (const HttpError&) {
            throw;
        } catch (const base::Error& error) {
            const bool ours = error.error() == ENOSPC || error.error() == EIO || error.error() == EROFS;
            throw HttpError(ours ? 500 : 400, base::error_chain(error));
        }
    });
    call.response.send(200, "");
}

void put_archive(Call& call) {
    try {
        unpack(call);
    } catch (const base::Error&) {
        drain_body(call.request);
        throw;
    }
}

void export_container(Call& call) {
    const ContainerInfo info = call.context.engine.get(call.parameter());
    call.context.engine.with_rootfs(info.id, [&](const std::string& root) {
        const base::UniqueFd directory = base::open_file(root, O_RDONLY | O_DIRECTORY);
        call.response.begin(200, "application/x-tar");
        TarWriter tar([&](std::string_view data) { call.response.write(data); });
        tar.add_tree(directory.get(), ".", ".");
        tar.finish();
        call.response.end();
    });
}

// docker diff: what the overlay's upper directory holds, against the layers below
// --------------------------------------

bool in_layers(const std::vector<base::UniqueFd>& layers, const std::string& path) {
    for (const base::UniqueFd& layer : layers) {
        try {
            const base::UniqueFd file = base::open_beneath(layer.get(), path, O_PATH | O_NOFOLLOW);
            struct stat status {};
            base::check(::fstat(file.get(), &status), "stat");
            return !(S_ISCHR(status.st_mode) && status.st_rdev == 0); // a whiteout hides what is further below
        } catch (const base::Error&) {
            continue;
        }
    }
    return false;
}

void changes(Call& call) {
    enum Kind { modified = 0, added = 1, deleted = 2 };
    const ContainerInfo info = call.context.engine.get(call.parameter());
    std::vector<base::UniqueFd> layers;
    for (const std::string& directory : info.lower_directories)
        layers.push_back(base::open_file(directory, O_PATH | O_DIRECTORY));
    json::array result;
    std::error_code ignored; // the container writes meanwhile
    const std::string upper = info.directory + "/upper";
    for (auto it = std::filesystem::recursive_directory_iterator(upper, ignored); it != end(it);
         it.increment(ignored)) {
        const std::string path = it->path().string().substr(upper.size() + 1);
        struct stat status {};
        if (::lstat(it->path().c_str(), &status) != 0)
            continue;
        const bool whiteout = S_ISCHR(status.st_mode) && status.st_rdev == 0;
        const Kind kind = whiteout ? deleted : in_layers(layers, path) ? modified : added;
        result.push_back(json::object{{"Path", "/" + path}, {"Kind", static_cast<int>(kind)}});
    }
    send_json(call, 200, result.empty() ? json::value(nullptr) : json::value(std::move(result)));
}

} // namespace

void add_archive_routes(Router& router) {
    router.add("HEAD", "containers/{}/archive", stat_path);
    router.add("GET", "containers/{}/archive", get_archive);
    router.add("PUT", "containers/{}/archive", put_archive);
    router.add("GET", "containers/{}/export", export_container);
    router.add("GET", "containers/{}/changes", changes);
}

} // namespace engine::api
