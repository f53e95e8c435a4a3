// 10 · a thread of the host that computes, and blocks all signals
#include <pthread.h>
#include <signal.h>
#ifndef HOST
void act(void) {}
#else
static volatile unsigned long sum;
static volatile int begun;
static void *compute(void *argument) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, 0);
    begun = 1;
    for (;;) sum++;
}
void before(void) {
    pthread_t thread;
    pthread_create(&thread, 0, compute, 0);
    while (!begun) {}
}
#endif
