// 9 · a signal that the host ignores, set to its default by the library
// check: left_behind
#include <signal.h>
#include <unistd.h>
#ifndef HOST
void act(void) { signal(SIGPIPE, SIG_DFL); }
#else
void before(void) { signal(SIGPIPE, SIG_IGN); }
const char *after(void) {
    int ends[2];
    pipe(ends);
    close(ends[0]);
    write(ends[1], "x", 1);
    return 0;
}
#endif
