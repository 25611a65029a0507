# The OCI runtime: the library, and the program `ocirun`.
atoll_library(engine_runtime
  SOURCES
    src/runtime/await_exec.cpp
    src/runtime/cgroup.cpp
    src/runtime/child_devices.cpp
    src/runtime/child_listener.cpp
    src/runtime/child_mounts.cpp
    src/runtime/child_namespaces.cpp
    src/runtime/child_process.cpp
    src/runtime/child_root.cpp
    src/runtime/child_sync.cpp
    src/runtime/clone_between.cpp
    src/runtime/config.cpp
    src/runtime/config_linux.cpp
    src/runtime/config_mounts.cpp
    src/runtime/config_resources.cpp
    src/runtime/config_schedule.cpp
    src/runtime/config_seccomp.cpp
    src/runtime/copy_up.cpp
    src/runtime/device_filter.cpp
    src/runtime/documents.cpp
    src/runtime/exec_request.cpp
    src/runtime/foreground.cpp
    src/runtime/id_mapped_mounts.cpp
    src/runtime/join.cpp
    src/runtime/json_cursor.cpp
    src/runtime/kernel.cpp
    src/runtime/launch.cpp
    src/runtime/mount_options.cpp
    src/runtime/names.cpp
    src/runtime/own_binary.cpp
    src/runtime/parent_side.cpp
    src/runtime/plan.cpp
    src/runtime/plan_namespaces.cpp
    src/runtime/privileges.cpp
    src/runtime/runtime.cpp
    src/runtime/schedule.cpp
    src/runtime/seccomp.cpp
    src/runtime/seccomp_listener.cpp
    src/runtime/specification.cpp
    src/runtime/stages.cpp
    src/runtime/state.cpp
    src/runtime/statistics.cpp
    src/runtime/systemd_scope.cpp
  LINK base base_json base_sha256 libseccomp.a libcrypto.a)

atoll_library(ocirun_program
  SOURCES
    src/ocirun/command_line.cpp
    src/ocirun/commands.cpp
    src/ocirun/error_log.cpp
    src/ocirun/program.cpp
    src/ocirun/reports.cpp
    src/ocirun/update_request.cpp
  LINK engine_runtime)

# Static: it is run for every container, and the dynamic loader would be the larger part of its time.
atoll_program(ocirun STATIC
  SOURCES src/ocirun/main.cpp
  LINK ocirun_program)
if(TARGET ocirun)
  # After an archive named libX.a CMake switches the linker back to shared libraries, unless told otherwise.
  set_target_properties(ocirun PROPERTIES LINK_SEARCH_END_STATIC ON)
endif()

# What needs libsystemd, which is not static.
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
atoll_program(ocirun-systemd SOURCES src/ocirun_systemd/main.cpp src/ocirun_systemd/properties.cpp LINK base PkgConfig::SYSTEMD)
