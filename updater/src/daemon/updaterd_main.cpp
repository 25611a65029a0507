#include "updaterd_program.hpp"

int main(int argc, char** argv) {
    return updater::run_updaterd(argc, argv);
}
