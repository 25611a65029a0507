# The image store; included by src/api/part.cmake.
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)

atoll_library(engine_images
  SOURCES src/images/archive_reader.cpp src/images/image_archive.cpp src/images/image_config.cpp
          src/images/image_index.cpp src/images/layer.cpp src/images/local_image_store.cpp src/images/reference.cpp src/images/tar_writer.cpp
  LINK base base_json base_crypto PkgConfig::ARCHIVE)
