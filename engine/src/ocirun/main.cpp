// ocirun: the OCI container runtime.
#include "ocirun/program.hpp"

int main(int argc, char** argv) {
    return ocirun::run_program(argc, argv);
}
