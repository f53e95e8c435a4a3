// 9 · a directory that sends a signal when something in it changes (`F_NOTIFY`), with a handler
// check: left_behind
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#ifndef HOST
static volatile int count;
static void handle(int number) { count++; }
void act(void) {
    signal(SIGIO, handle);
    if (fcntl(198, F_NOTIFY, DN_CREATE | DN_MULTISHOT)) return;
}
#else
static char name[] = "/tmp/compared-XXXXXX";
void before(void) {
    if (!mkdtemp(name)) __builtin_trap();
    dup2(open(name, O_RDONLY | O_DIRECTORY), 198);
}
const char *after(void) {
    int file = openat(198, "file", O_CREAT | O_WRONLY, 0600);
    close(file);
    usleep(10000);
    unlinkat(198, "file", 0);
    rmdir(name);
    return 0;
}
#endif
