// 8 · the host's handler, installed after the library's, passes on to it
// check: left_behind
#include <signal.h>
#ifndef HOST
static void handle(int number) {}
void act(void) { signal(SIGUSR1, handle); }
#else
static void (*former)(int);
static void handle(int number) {
    if (former != SIG_DFL && former != SIG_IGN) former(number);
}
void between(void) { former = signal(SIGUSR1, handle); }
const char *after(void) { raise(SIGUSR1); return 0; }
#endif
