// 7 · a timer that hands an address of the library's to a handler of the host (`timer_create`)
// lpm: no
#include <signal.h>
#include <time.h>
#include <unistd.h>
#ifndef HOST
static int value;
static timer_t timer;
void act(void) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_ptr = &value};
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    timer_settime(timer, 0, &(struct itimerspec){{0, 1000000}, {0, 1000000}}, 0);
}
#else
static void handle(int signal, siginfo_t *info, void *context) { if (info->si_value.sival_ptr) ++*(int *)info->si_value.sival_ptr; }
void before(void) { sigaction(SIGUSR1, &(struct sigaction){.sa_sigaction = handle, .sa_flags = SA_SIGINFO}, 0); }
const char *after(void) { for (int i = 0; i < 50; i++) usleep(1000); return 0; }
#endif
