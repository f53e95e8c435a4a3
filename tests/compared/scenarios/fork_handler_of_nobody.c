// 7 · fork handlers of a library that was linked without the compiler's start files, behind a hundred of the host
// link: -nostartfiles
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#ifndef HOST
extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *);
static void nothing(void) {}
void act(void) { __register_atfork(nothing, nothing, nothing, 0); }
#else
static void nothing(void) {}
void before(void) { for (int i = 0; i < 100; i++) pthread_atfork(nothing, nothing, nothing); }
const char *after(void) {
    int status;
    pid_t child = fork();
    if (!child) _exit(0);
    waitpid(child, &status, 0);
    return status ? "a child of the host crashed" : 0;
}
#endif
