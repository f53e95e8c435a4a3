// 7 · a timer of the process that sends a signal (`setitimer`), with a handler
// check: left_behind
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#ifndef HOST
static volatile int count;
static void tick(int signal) { count++; }
void act(void) {
    sigaction(SIGPROF, &(struct sigaction){.sa_handler = tick, .sa_flags = SA_RESTART}, 0);
    setitimer(ITIMER_PROF, &(struct itimerval){{0, 1000}, {0, 1000}}, 0);
}
#else
const char *after(void) { clock_t end = clock() + CLOCKS_PER_SEC / 10; while (clock() < end) {} return 0; }
#endif
