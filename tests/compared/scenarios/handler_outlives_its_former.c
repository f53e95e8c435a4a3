// 5 · the same, and the first library goes before the second: a signal of nobody comes afterwards
// close-first: yes
// check: left_behind
#include <signal.h>
#include <stdlib.h>
#ifndef HOST
static struct sigaction former;
static void handle(int signal, siginfo_t *info, void *context) {
    if (former.sa_flags & SA_SIGINFO) former.sa_sigaction(signal, info, context);
    else if (former.sa_handler != SIG_IGN && former.sa_handler != SIG_DFL) former.sa_handler(signal);
}
void act(void) {
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, &former);
}
#else
void while_second(void) { raise(SIGUSR1); }
#endif
