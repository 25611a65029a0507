// peak PROGRAM ARGUMENT...: runs it and prints the largest resident set in KiB of it and what it waited for. Static
// and tiny: the kernel counts what a process had in memory before it became the program, too.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

int main(int, char** argv) {
    const pid_t pid = vfork();
    if (pid == 0) {
        execv(argv[1], argv + 1);
        _exit(98);
    }
    int status = 0;
    rusage usage{};
    wait4(pid, &status, 0, &usage);
    std::printf("%ld\n", usage.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}
