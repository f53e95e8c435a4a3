// 7 · a signal stack of the library's own
// check: stays_mapped
#include <signal.h>
#ifndef HOST
static char stack[65536];
void act(void) { sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, 0); }
#else
static void handle(int signal) {}
const char *after(void) {
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handle, .sa_flags = SA_ONSTACK}, 0);
    raise(SIGUSR1);
    return 0;
}
#endif
