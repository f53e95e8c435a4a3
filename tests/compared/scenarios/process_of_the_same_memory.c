// – · a process that the library started and that shares the memory (`clone` with `CLONE_VM`), in code of the library
// check: stays_mapped
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifndef HOST
static volatile int count;
static int work(void *nothing) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) count++;
    return 0;
}
void act(void) {
    char *stack = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pid_t child = clone(work, stack + 65536, CLONE_VM | SIGCHLD, 0);
    (void)child;
}
#else
const char *after(void) {
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, 0);
    int status;
    if (waitpid(-1, &status, WNOHANG) > 0 && status) return "the process crashed";
    return 0;
}
#endif
