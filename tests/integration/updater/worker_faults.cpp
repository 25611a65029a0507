#include "faults.hpp"
#include "worker_program.hpp"

int main(int argc, char** argv) {
    updater_test::arm_faults();
    return updater::run_worker_program(argc, argv);
}
