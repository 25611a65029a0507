#include <unistd.h>

#include "faults.hpp"
#include "updaterd_program.hpp"

int main(int argc, char** argv) {
    // The machine of a test is this process group: the workers are in it, the test is not.
    ::setpgid(0, 0);
    updater_test::arm_faults();
    return updater::run_updaterd(argc, argv);
}
