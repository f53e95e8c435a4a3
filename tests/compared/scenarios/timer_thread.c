// 7 · a timer that calls a function of the library's own on a thread (`SIGEV_THREAD`), time and again
#include <signal.h>
#include <time.h>
#include <unistd.h>
#ifndef HOST
static volatile int count;
static void called(union sigval value) { ++*(volatile int *)value.sival_ptr; }
void act_on_caller(void) {
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD};
    event.sigev_notify_function = called;
    event.sigev_value.sival_ptr = (void *)&count;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer)) __builtin_trap();
    struct itimerspec often = {{0, 100000}, {0, 100000}};
    timer_settime(timer, 0, &often, 0);
    while (!count) usleep(100);
}
#else
const char *after(void) { for (int i = 0; i < 50; i++) usleep(1000); return 0; }
#endif
