// Every area of the API adds its routes.
#pragma once
#include "api/router.hpp"

namespace engine::api {

void add_archive_routes(Router& router); // cp, export, diff
void add_atoll_routes(Router& router);
void add_container_routes(Router& router);
void add_event_routes(Router& router);
void add_exec_routes(Router& router);
void add_image_routes(Router& router);
void add_inspect_routes(Router& router);
void add_list_routes(Router& router);
void add_network_routes(Router& router);
void add_process_routes(Router& router); // stats, top
void add_prune_routes(Router& router);
void add_stream_routes(Router& router); // attach, logs, wait, resize
void add_system_routes(Router& router);
void add_volume_routes(Router& router);

} // namespace engine::api
