// The tests of this program run as PID 1 of namespaces of their own (processes, mounts, network): engined has its
// sockets in /run, its bridge is nobody else's, and whatever a failed test leaves behind ends with it.
#include <boost/test/unit_test.hpp>

#include <csignal>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/error.hpp"
#include "base/process.hpp"

namespace {

struct OwnNamespaces {
    OwnNamespaces() {
        base::check(unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID), "unshare (are you root?)");
        const pid_t child = base::check(fork(), "fork");
        if (child != 0) {
            int status = 0;
            while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
            }
            _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        base::check(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make / private");
        base::check(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr), "mount /proc");
        base::check(mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"), "mount /run");
        base::run_checked({"ip", "link", "set", "lo", "up"});
    }
};

} // namespace

BOOST_TEST_GLOBAL_FIXTURE(OwnNamespaces);
