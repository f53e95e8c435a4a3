// 6 · a handler that calls `signal` and `sigaction`, while its own thread does
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>
static volatile int count;
static void other(int number) {}
static void handle(int number) {
    struct sigaction former;
    signal(SIGUSR2, other);
    sigaction(SIGUSR2, 0, &former);
    count++;
}
void act(void) {
    signal(SIGALRM, handle);
    struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, 0);
    while (count < 500) signal(SIGUSR2, other);
    setitimer(ITIMER_REAL, &never, 0);
    signal(SIGALRM, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
}
