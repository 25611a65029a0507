# The monitor: static and small, there is one for every container. It takes nothing of base but headers.
atoll_library(engine_monitor
  SOURCES src/monitor/child_stdio.cpp src/monitor/client.cpp src/monitor/exit_record.cpp src/monitor/log_file.cpp
          src/monitor/monitor.cpp src/monitor/options.cpp
  LINK base)
target_compile_definitions(engine_monitor PRIVATE ATOLL_VERSION="${PROJECT_VERSION}")
atoll_program(engine-monitor SOURCES src/monitor/main.cpp LINK engine_monitor STATIC)
