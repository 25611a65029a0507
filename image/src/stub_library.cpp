#include "image/stub_library.hpp"

#include "base/files.hpp"
#include "base/process.hpp"

namespace image {

void make_stub_library(const StubLibrary& stub, const Tree& tree) {
    std::string source = "// Stands for a library whose content nothing in this image uses.\n";
    for (const std::string& symbol : stub.symbols)
        source += "extern \"C\" const unsigned char " + symbol + "[32] = {};\n";
    const base::TempDir directory("stub");
    base::write_durable(directory / "stub.cpp", source);
    base::RunOptions options;
    options.spawn.directory = directory.path();
    options.spawn.environment = {"LC_ALL=C.UTF-8", "SOURCE_DATE_EPOCH=0"};
    base::run_checked({"c++", "-shared", "-fPIC", "-nostdlib", "-O2", "-fno-ident", "-Wl,--build-id=none", "-s",
                       "-Wl,-soname," + stub.name, "-o", "stub.so", "stub.cpp"},
                      options);
    tree.copy_file(directory / "stub.so", "usr/lib/x86_64-linux-gnu/" + stub.name, 0644);
}

} // namespace image
