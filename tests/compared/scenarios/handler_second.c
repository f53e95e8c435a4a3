// 5 · handlers set by `sysv_signal` and `sigset`, which pass signals on to what they found
// check: left_behind
#define _GNU_SOURCE
#include <signal.h>
#ifndef HOST
static void (*former[2])(int);
static void handle(int signal) {
    void (*next)(int) = former[signal == SIGUSR2];
    sysv_signal(SIGUSR1, handle);
    if (next != SIG_DFL && next != SIG_IGN && next != SIG_ERR) next(signal);
}
void act(void) { former[0] = sysv_signal(SIGUSR1, handle); former[1] = sigset(SIGUSR2, handle); }
#else
void before(void) { signal(SIGUSR1, SIG_IGN); signal(SIGUSR2, SIG_IGN); }
const char *after(void) { raise(SIGUSR1); raise(SIGUSR2); return 0; }
#endif
