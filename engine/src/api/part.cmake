# The image store and the HTTP API over the engine.
include(${CMAKE_CURRENT_SOURCE_DIR}/src/images/part.cmake)

# What needs neither an engine nor a socket: parsers and readers, tested and fuzzed alone. Of the core it takes the
# words of container.hpp only (core/container_words.cpp).
atoll_library(engine_api_parts
  SOURCES src/api/cgroup_stats.cpp src/api/create_body.cpp src/api/directory_size.cpp src/api/filters.cpp
          src/api/mount_spec.cpp src/api/process_table.cpp src/api/raw_stream.cpp src/api/rootfs_path.cpp src/api/router.cpp
          src/api/time_text.cpp src/api/volume_copy.cpp src/api/volume_store.cpp
  LINK base base_json base_crypto base_http)

atoll_library(engine_api
  SOURCES src/api/archive.cpp src/api/atoll.cpp src/api/container_inspect.cpp src/api/container_json.cpp src/api/container_list.cpp
          src/api/containers.cpp src/api/events.cpp src/api/exec.cpp src/api/image_lookup.cpp src/api/images.cpp
          src/api/json_answer.cpp src/api/networks.cpp src/api/processes.cpp src/api/prune.cpp src/api/server.cpp
          src/api/streams.cpp src/api/system.cpp src/api/volumes.cpp
  LINK engine_core engine_api_parts engine_images base base_json base_crypto base_http)
