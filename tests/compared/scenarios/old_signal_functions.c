// 5 · handlers that are set by older functions (`sysv_signal`, `sigset`), and one that is passed on to
// second: handler_second
// close-first: yes
#define _GNU_SOURCE
#include <signal.h>
#ifndef HOST
static int count;
static void handle(int signal) { count++; }
void act(void) { sysv_signal(SIGUSR1, handle); sigset(SIGUSR2, handle); }
#else
void before(void) { signal(SIGUSR1, SIG_IGN); signal(SIGUSR2, SIG_IGN); }
void while_second(void) { raise(SIGUSR1); raise(SIGUSR2); }
const char *after(void) { raise(SIGUSR1); raise(SIGUSR2); return 0; }
#endif
