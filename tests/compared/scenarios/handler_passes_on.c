// 5 · two libraries with a handler for one signal: the second passes on what is not its own
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#ifndef HOST
static struct sigaction former;
static void handle(int signal, siginfo_t *info, void *context) {
#ifdef SECOND
    if (info->si_value.sival_int == 2) { setenv("SECOND", "1", 1); return; }
#else
    if (info->si_value.sival_int == 1) { setenv("FIRST", "1", 1); return; }
#endif
    if (former.sa_flags & SA_SIGINFO) former.sa_sigaction(signal, info, context);
    else if (former.sa_handler != SIG_IGN && former.sa_handler != SIG_DFL) former.sa_handler(signal);
    else if (former.sa_handler == SIG_DFL) {
        sigaction(signal, &former, 0);
        raise(signal);
    }
}
void act(void) {
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, &former);
}
#else
#include <unistd.h>
static void send(int value) { sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = value}); }
void between(void) { send(1); send(2); }
const char *after(void) { return getenv("FIRST") && getenv("SECOND") ? 0 : "one of them is deaf"; }
#endif
