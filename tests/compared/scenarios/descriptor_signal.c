// 9 · a descriptor of the host that sends a signal when there is something to read (`O_ASYNC`), with a handler
// lpm: no
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#ifndef HOST
static volatile int count;
static void handle(int number) { count++; }
void act(void) {
    signal(SIGIO, handle);
    fcntl(198, F_SETOWN, getpid());
    fcntl(198, F_SETFL, fcntl(198, F_GETFL) | O_ASYNC);
    if (write(199, "1", 1) != 1) __builtin_trap();
    for (int i = 0; i < 5000 && !count; i++) usleep(1000);
    if (!count) __builtin_trap();
}
#else
void before(void) {
    int ends[2];
    if (pipe(ends)) __builtin_trap();
    dup2(ends[0], 198);
    dup2(ends[1], 199);
}
const char *after(void) { if (write(199, "2", 1) != 1) return "cannot write"; usleep(10000); return 0; }
#endif
