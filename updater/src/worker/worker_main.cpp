#include "worker_program.hpp"

int main(int argc, char** argv) {
    return updater::run_worker_program(argc, argv);
}
