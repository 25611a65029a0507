#include "engine/api.hpp"

#include <charconv>
#include <thread>

#include "api/routes.hpp"
#include "api/volume_store.hpp"
#include "base/cli.hpp"
#include "base/files.hpp"
#include "base/log.hpp"

namespace engine {
namespace {

using namespace api;

/// More than docker's clients need at once, and less than a client that leaks connections can hurt with.
constexpr unsigned connection_limit = 512;

Router make_router() {
    Router router;
    // Fixed names go before patterns that would take them for an id.
    add_list_routes(router);
    add_prune_routes(router);
    add_system_routes(router);
    add_event_routes(router);
    add_container_routes(router);
    add_inspect_routes(router);
    add_stream_routes(router);
    add_exec_routes(router);
    add_process_routes(router);
    add_archive_routes(router);
    add_image_routes(router);
    add_network_routes(router);
    add_volume_routes(router);
    add_atoll_routes(router);
    return router;
}

/// What the engine says of its errors, in HTTP.
void call_route(const Route& route, Call& call) {
    try {
        route(call);
    } catch (const EngineError& error) {
        if (error.kind() == ErrorKind::not_modified && !call.response.started()) {
            call.response.send(304, "");
            return;
        }
        throw HttpError(error.http_status(), base::error_chain(error));
    }
}

} // namespace

namespace api {

unsigned query_number(const base::http::Request& request, const std::string& key, unsigned fallback) {
    const std::string text = request.query_value(key);
    if (text.empty())
        return fallback;
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        throw HttpError(400, fmt::format("{}: {:?} is no number", key, text.substr(0, 64)));
    return value;
}

void drain_body(base::http::Request& request) noexcept {
    try {
        constexpr std::size_t limit = std::size_t{1} << 30;
        std::array<char, 64 * 1024> buffer;
        std::size_t total = 0;
        while (const std::size_t count = request.read_body(buffer.data(), buffer.size()))
            if (total += count; total > limit)
                return;
    } catch (const std::exception& error) {
        base::log_debug("request body not read to its end: {}", base::error_chain(error));
    }
}

} // namespace api

struct ApiServer::Impl {
    Impl(ApiOptions set, Engine& engine, LocalImageStore& images, Networks& networks)
        : options(std::move(set)), volumes(options.volumes_directory), context{engine, images, networks, volumes},
          router(make_router()), server({.max_connections = connection_limit}) {}

    base::http::Handler handler(Caller caller);
    void serve(base::http::Request& request, base::http::Response& response, Caller caller);
    void remove_orphaned_volumes();
    void watch_containers();

    ApiOptions options;
    VolumeStore volumes;
    Context context;
    Router router;
    std::thread watcher;
    base::http::Server server; // last: its threads use all of the above
};

base::http::Handler ApiServer::Impl::handler(Caller caller) {
    return [this, caller](base::http::Request& request, base::http::Response& response) {
        serve(request, response, caller);
    };
}

void ApiServer::Impl::serve(base::http::Request& request, base::http::Response& response, Caller caller) {
    response.common_headers = {{"Api-Version", fmt::format("1.{}", newest_minor)},
                               {"Docker-Experimental", "false"},
                               {"Ostype", "linux"},
                               {"Server", fmt::format("Atoll/{}", base::version())}};
    const VersionedPath path = split_version(request.path);
    Router::Match match = router.find(request.method, path.path);
    if (match.route == nullptr)
        throw HttpError(match.path_known ? 405 : 404, match.path_known ? "method not allowed" : "page not found");
    Call call{context, request, response, caller, path.minor, std::move(match.parameters)};
    call_route(*match.route, call);
}

/// Anonymous volumes of `--rm` containers end with them, also when engined was not there to see it.
void ApiServer::Impl::remove_orphaned_volumes() {
    for (const Volume& volume : volumes.list()) {
        if (volume.remove_with.empty() || context.engine.find(volume.remove_with))
            continue;
        try {
            volumes.remove(volume.name);
        } catch (const std::exception& error) {
            base::log_warning("cannot remove volume name={} reason={}", volume.name, base::error_chain(error));
        }
    }
}

void ApiServer::Impl::watch_containers() {
    EventSubscription subscription = context.engine.subscribe();
    remove_orphaned_volumes();
    while (!context.stopping) {
        const auto event = subscription.next(std::chrono::milliseconds(500));
        if (event && event->type == "container" && event->action == "destroy")
            remove_orphaned_volumes();
    }
}

ApiServer::ApiServer(ApiOptions options, Engine& engine, LocalImageStore& images, Networks& networks)
    : impl_(std::make_unique<Impl>(std::move(options), engine, images, networks)) {
    const auto make_parent = [](const std::string& path) {
        base::make_directories(std::filesystem::path(path).parent_path().string());
    };
    if (!impl_->options.docker_socket.empty()) {
        make_parent(impl_->options.docker_socket);
        impl_->server.listen_unix(impl_->options.docker_socket, impl_->options.docker_socket_mode,
                                  impl_->handler({.may_change_system = false}));
    }
    if (!impl_->options.root_socket.empty()) {
        make_parent(impl_->options.root_socket);
        impl_->server.listen_unix(impl_->options.root_socket, 0600, impl_->handler({.may_change_system = true}));
    }
    if (impl_->options.tcp)
        impl_->server.listen_tls(*impl_->options.tcp, impl_->handler({.may_change_system = false}));
}

ApiServer::~ApiServer() {
    stop();
}

void ApiServer::start() {
    impl_->watcher = std::thread([this] {
        try {
            impl_->watch_containers();
        } catch (const std::exception& error) {
            base::log_error("volumes of removed containers are not removed any more: {}", base::error_chain(error));
        }
    });
    impl_->server.start();
}

void ApiServer::stop() noexcept {
    impl_->context.stopping = true;
    impl_->server.stop();
    if (impl_->watcher.joinable())
        impl_->watcher.join();
}

} // namespace engine
