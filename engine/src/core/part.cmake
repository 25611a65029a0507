# The monitor: static and small, there is one for every container. It takes nothing of base but headers.
atoll_library(engine_monitor
  SOURCES src/monitor/child_stdio.cpp src/monitor/client.cpp src/monitor/exit_record.cpp src/monitor/log_file.cpp
          src/monitor/monitor.cpp src/monitor/options.cpp
  LINK base)
target_compile_definitions(engine_monitor PRIVATE ATOLL_VERSION="${PROJECT_VERSION}")
atoll_program(engine-monitor SOURCES src/monitor/main.cpp LINK engine_monitor STATIC)

atoll_library(engine_core
  SOURCES src/core/carried_images.cpp src/core/cgroups.cpp src/core/config_json.cpp src/core/container_files.cpp src/core/container_words.cpp
          src/core/engine.cpp src/core/event_bus.cpp src/core/execs.cpp src/core/health.cpp src/core/identity.cpp
          src/core/image_defaults.cpp src/core/launch.cpp src/core/lifecycle.cpp src/core/log_reader.cpp src/core/loop.cpp
          src/core/monitor_client.cpp src/core/oci_config.cpp src/core/oci_parts.cpp src/core/recovery.cpp
          src/core/seccomp_profile.cpp src/core/service_config.cpp src/core/services.cpp src/core/user_lookup.cpp
  LINK engine_network engine_monitor base base_json base_config Threads::Threads)

# engined puts the parts together; included after them (api is the last part) by a deferred call.
atoll_library(engine_host SOURCES src/engined/host_setup.cpp LINK base base_config)
atoll_program(enginectl SOURCES src/enginectl/main.cpp LINK base base_json base_http)
if(TARGET init_client OR EXISTS ${CMAKE_SOURCE_DIR}/init/CMakeLists.txt)
  atoll_program(engined SOURCES src/engined/main.cpp
    LINK engine_core engine_api engine_images engine_network engine_host init_client base base_json base_config base_http)
endif()
