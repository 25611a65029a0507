// init: /init of the initramfs (stage 1), /usr/bin/init of the deployment (stage 2, PID 1).
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "initramfs.hpp"
#include "pid1.hpp"
#include "system.hpp"

int main(int argc, char** argv) {
    if (::getpid() != 1) {
        const bool asked = argc == 2 && std::strcmp(argv[1], "--help") == 0;
        std::fprintf(asked ? stdout : stderr,
                     "init %s: stage 1 in the initramfs (as /init) and PID 1 of the system; not to be run by hand.\n"
                     "See initctl.\n",
                     init::version());
        return asked ? 0 : 2;
    }
    // The kernel starts the initramfs' program by this name.
    if (argc > 0 && std::strcmp(argv[0], "/init") == 0)
        init::run_stage1();
    // Static: PID 1's memory is all there from the start.
    static init::Pid1 pid1;
    pid1.run();
}
