# The image store and the HTTP API over the engine.
include(${CMAKE_CURRENT_SOURCE_DIR}/src/images/part.cmake)
