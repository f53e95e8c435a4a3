// 7 · a timer that calls code made at run time on a thread (`SIGEV_THREAD`), which calls the library
// check: left_behind
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#ifndef HOST
static volatile int count;
static void called(union sigval value) { count++; }
void act(void) {
    unsigned char *code = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *target = called;
#ifdef __x86_64__
    memcpy(code, "\x48\xb8", 2), memcpy(code + 2, &target, 8), memcpy(code + 10, "\xff\xe0", 2);
#else
    memcpy(code, "\x50\x00\x00\x58\x00\x02\x1f\xd6", 8), memcpy(code + 8, &target, 8);
#endif
    mprotect(code, 4096, PROT_READ | PROT_EXEC);
    __builtin___clear_cache((char *)code, (char *)code + 64);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD};
    event.sigev_notify_function = (void (*)(union sigval))code;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer)) __builtin_trap();
    struct itimerspec often = {{0, 1000000}, {0, 1000000}};
    timer_settime(timer, 0, &often, 0);
    while (!count) usleep(100);
}
#else
const char *after(void) { for (int i = 0; i < 50; i++) usleep(1000); return 0; }
#endif
