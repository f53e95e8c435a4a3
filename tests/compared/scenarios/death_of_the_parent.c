// 9 · a signal that the kernel is to send when the thread that started the process ends (`PR_SET_PDEATHSIG`), with a handler
// check: left_behind
#include <signal.h>
#include <sys/prctl.h>
#ifndef HOST
static void handle(int number) {}
void act(void) { signal(SIGUSR1, handle); prctl(PR_SET_PDEATHSIG, SIGUSR1); }
#else
const char *after(void) {
    int signal = 0;
    prctl(PR_GET_PDEATHSIG, &signal);
    return signal ? "the signal would end the process" : 0;
}
#endif
