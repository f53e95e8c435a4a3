// 9 · a lease of a file (`F_SETLEASE`), with a handler for the signal that somebody wants to write to it
// check: left_behind
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#ifndef HOST
static void handle(int number) {}
void act(void) { signal(SIGIO, handle); fcntl(198, F_SETLEASE, F_RDLCK); }
#else
static char name[] = "/tmp/compared-XXXXXX";
void before(void) {
    close(mkstemp(name));
    dup2(open(name, O_RDONLY), 198);
}
const char *after(void) {
    close(open(name, O_WRONLY | O_NONBLOCK));
    usleep(10000);
    unlink(name);
    return 0;
}
#endif
