// The engine itself: ping, version, info, disk usage.
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "api/directory_size.hpp"
#include "api/image_lookup.hpp"
#include "api/json_answer.hpp"
#include "api/routes.hpp"
#include "api/time_text.hpp"
#include "api/volume_json.hpp"
#include "api/volume_store.hpp"
#include "base/cli.hpp"
#include "base/files.hpp"

namespace engine::api {
namespace {

#if defined(__x86_64__)
constexpr const char* go_architecture = "amd64";
#else
constexpr const char* go_architecture = "arm64";
#endif

std::string kernel_version() {
    utsname names{};
    ::uname(&names);
    return names.release;
}

/// PRETTY_NAME of os-release(5).
std::string operating_system() {
    const std::string text = base::read_file_if_exists("/etc/os-release", 64 * 1024).value_or("");
    constexpr std::string_view key = "PRETTY_NAME=";
    std::size_t at = text.starts_with(key) ? 0 : text.find("\n" + std::string(key));
    if (at == std::string::npos)
        return "Atoll";
    at = text.find('=', at) + 1;
    std::string value = text.substr(at, text.find('\n', at) - at);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
        value = value.substr(1, value.size() - 2);
    return value;
}

void ping(Call& call) {
    call.response.send(200, "OK", "text/plain; charset=utf-8",
                       {{"Cache-Control", "no-cache, no-store, must-revalidate"}, {"Pragma", "no-cache"}});
}

void version(Call& call) {
    const std::string api = fmt::format("1.{}", newest_minor);
    const std::string minimum = fmt::format("1.{}", oldest_minor);
    const json::object details{{"ApiVersion", api},
                               {"Arch", go_architecture},
                               {"KernelVersion", kernel_version()},
                               {"MinAPIVersion", minimum},
                               {"Os", "linux"}};
    send_json(call, 200,
              json::object{{"Platform", json::object{{"Name", "Atoll"}}},
                           {"Components", json::array{json::object{
                                              {"Name", "Engine"}, {"Version", base::version()}, {"Details", details}}}},
                           {"Version", base::version()},
                           {"ApiVersion", api},
                           {"MinAPIVersion", minimum},
                           {"GitCommit", ""},
                           {"GoVersion", "none (C++20)"},
                           {"Os", "linux"},
                           {"Arch", go_architecture},
                           {"KernelVersion", kernel_version()}});
}

struct Counts {
    std::int64_t running = 0;
    std::int64_t paused = 0;
    std::int64_t stopped = 0;
};

/// Of users' containers, as `docker ps` shows them.
Counts count_containers(const Engine& engine) {
    Counts counts;
    for (const ContainerInfo& info : engine.list()) {
        if (info.system())
            continue;
        if (info.state.status == Status::paused)
            ++counts.paused;
        else if (info.state.running())
            ++counts.running;
        else
            ++counts.stopped;
    }
    return counts;
}

void info(Call& call) {
    const Counts counts = count_containers(call.context.engine);
    struct sysinfo memory {};
    ::sysinfo(&memory);
    utsname names{};
    ::uname(&names);
    const json::object plugins{{"Volume", json::array{"local"}},
                               {"Network", json::array{"bridge", "host", "null"}},
                               {"Authorization", nullptr},
                               {"Log", json::array{"json-file", "none"}}};
    std::string id = base::read_file_if_exists("/etc/machine-id", 64).value_or("");
    id = id.substr(0, id.find('\n'));
    send_json(call, 200,
              json::object{
                  {"ID", id},
                  {"Containers", counts.running + counts.paused + counts.stopped},
                  {"ContainersRunning", counts.running},
                  {"ContainersPaused", counts.paused},
                  {"ContainersStopped", counts.stopped},
                  {"Images", call.context.images.list().size()},
                  {"Driver", "overlay2"},
                  {"DriverStatus", json::array{json::array{"Backing Filesystem", "extfs"}}},
                  {"Plugins", plugins},
                  {"MemoryLimit", true},
                  {"SwapLimit", true},
                  {"CpuCfsPeriod", true},
                  {"CpuCfsQuota", true},
                  {"CPUShares", true},
                  {"CPUSet", true},
                  {"PidsLimit", true},
                  {"IPv4Forwarding", true},
                  {"OomKillDisable", false},
                  {"Debug", false},
                  {"NFd", -1},
                  {"NGoroutines", -1},
                  {"NEventsListener", -1},
                  {"SystemTime", rfc3339(std::chrono::system_clock::now())},
                  {"LoggingDriver", "json-file"},
                  {"CgroupDriver", "cgroupfs"},
                  {"CgroupVersion", "2"},
                  {"KernelVersion", names.release},
                  {"OperatingSystem", operating_system()},
                  {"OSVersion", ""},
                  {"OSType", "linux"},
                  {"Architecture", names.machine},
                  {"NCPU", ::sysconf(_SC_NPROCESSORS_ONLN)},
                  {"MemTotal", static_cast<std::uint64_t>(memory.totalram) * memory.mem_unit},
                  {"IndexServerAddress", "https://index.docker.io/v1/"},
                  {"RegistryConfig", nullptr},
                  {"DockerRootDir", call.context.engine.options().state_directory},
                  {"HttpProxy", ""},
                  {"HttpsProxy", ""},
                  {"NoProxy", ""},
                  {"Name", names.nodename},
                  {"Labels", json::array()},
                  {"ExperimentalBuild", false},
                  {"ServerVersion", base::version()},
                  {"Runtimes", json::object{{"ocirun", json::object{{"path", call.context.engine.options().runtime}}}}},
                  {"DefaultRuntime", "ocirun"},
                  {"Swarm", json::object{{"NodeID", ""}, {"LocalNodeState", "inactive"}, {"ControlAvailable", false}}},
                  {"LiveRestoreEnabled", true},
                  {"Isolation", ""},
                  {"InitBinary", ""},
                  {"SecurityOptions", json::array{"name=seccomp,profile=builtin", "name=cgroupns"}},
                  {"Warnings", nullptr}});
}

void disk_usage(Call& call) {
    json::array images;
    std::map<std::string, std::uint64_t> layers;
    const std::vector<ContainerInfo> containers = call.context.engine.list();
    for (const ImageRecord& record : call.context.images.list()) {
        for (std::size_t i = 0; i < record.chain_ids.size(); ++i)
            layers[record.chain_ids[i]] = record.layer_sizes[i];
        const auto users = std::count_if(containers.begin(), containers.end(), [&](const ContainerInfo& container) {
            return container.config->image_id == record.info.id;
        });
        const auto time = parse_rfc3339(record.created);
        images.push_back(json::object{{"Id", record.info.id},
                                      {"ParentId", ""},
                                      {"RepoTags", to_json(familiar_names(record.references))},
                                      {"RepoDigests", to_json(familiar_names(record.digests))},
                                      {"Created", time ? unix_seconds(*time) : 0},
                                      {"Size", record.size},
                                      {"SharedSize", 0},
                                      {"VirtualSize", record.size},
                                      {"Labels", to_json(record.info.config.labels)},
                                      {"Containers", users}});
    }
    std::uint64_t layers_size = 0;
    for (const auto& [id, size] : layers)
        layers_size += size;
    json::array container_list;
    for (const ContainerInfo& container : containers) {
        if (container.system())
            continue;
        container_list.push_back(
            json::object{{"Id", container.id},
                         {"Names", json::array{"/" + container.name}},
                         {"Image", container.config->image},
                         {"ImageID", container.config->image_id},
                         {"State", to_string(container.state.status)},
                         {"Status", status_text(container.state, std::chrono::system_clock::now())},
                         {"Created", unix_seconds(container.created)},
                         {"SizeRw", directory_size(container.directory + "/upper")}});
    }
    json::array volumes;
    for (const Volume& volume : call.context.volumes.list()) {
        json::object item = volume_json(volume);
        item["UsageData"] = json::object{{"Size", directory_size(volume.directory)},
                                         {"RefCount", containers_using(call.context, volume.name).size()}};
        volumes.push_back(std::move(item));
    }
    send_json(call, 200,
              json::object{{"LayersSize", layers_size},
                           {"Images", std::move(images)},
                           {"Containers", std::move(container_list)},
                           {"Volumes", std::move(volumes)},
                           {"BuildCache", json::array()}});
}

/// There is no build cache, so there is nothing to prune: `docker system prune` asks.
void prune_builds(Call& call) {
    send_json(call, 200, json::object{{"CachesDeleted", nullptr}, {"SpaceReclaimed", 0}});
}

/// Says what is missing and what to do instead, where "page not found" would leave a user alone.
void add_missing(Router& router, const char* method, const char* pattern, std::string message) {
    router.add(method, pattern, [message = std::move(message)](Call& call) {
        drain_body(call.request);
        throw HttpError(501, message);
    });
}

} // namespace

void add_system_routes(Router& router) {
    router.add("GET", "_ping", ping);
    router.add("HEAD", "_ping", ping);
    router.add("GET", "version", version);
    router.add("GET", "info", info);
    router.add("GET", "system/df", disk_usage);
    router.add("POST", "build/prune", prune_builds);
    add_missing(router, "POST", "build",
                "building images is not supported: build elsewhere and bring the image with `docker load`");
    add_missing(router, "POST", "commit", "making images of containers is not supported: see `docker export`");
    add_missing(router, "GET", "images/get", "saving images is not supported yet");
    add_missing(router, "GET", "images/{*}/get", "saving images is not supported yet");
    add_missing(router, "POST", "images/{*}/push", "pushing images is not supported");
    add_missing(router, "GET", "images/search", "searching registries is not supported");
    add_missing(router, "POST", "auth", "logging in to registries is not supported: nothing is pulled yet");
    add_missing(router, "POST", "swarm/init", "swarms are not supported: see fleetctl");
    add_missing(router, "POST", "swarm/join", "swarms are not supported: see fleetctl");
}

} // namespace engine::api
