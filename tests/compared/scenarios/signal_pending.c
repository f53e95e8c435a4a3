// 9 · a signal that was sent while the library handled it, and that waits until the host lets it through
// check: left_behind
#include <signal.h>
#include <unistd.h>
#ifndef HOST
static void handle(int number) {}
void act(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    signal(SIGUSR1, handle);
    sigprocmask(SIG_BLOCK, &set, 0);
    raise(SIGUSR1);
}
#else
const char *after(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_UNBLOCK, &set, 0);
    return 0;
}
#endif
