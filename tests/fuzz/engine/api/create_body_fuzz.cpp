// POST /containers/create: whatever comes is a ContainerConfig or a refusal, and what is accepted keeps its promises.
#include "api/create_body.hpp"
#include "base/http/server.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const engine::api::CreateBody body = engine::api::parse_create_body(text);
        for (const engine::ContainerMount& mount : body.config.mounts)
            if (!mount.target.starts_with('/') || mount.target == "/" || mount.target.find("/../") != std::string::npos)
                __builtin_trap();
        for (const engine::PublishedPort& port : body.config.ports)
            if (port.container_port == 0)
                __builtin_trap();
    } catch (const base::http::HttpError&) {
    }
    try {
        engine::api::parse_update_body(text, {});
    } catch (const base::http::HttpError&) {
    }
    return 0;
}
