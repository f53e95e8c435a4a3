// – · fork handlers (`pthread_atfork`)
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#ifndef HOST
static void nothing(void) {}
void act(void) { pthread_atfork(nothing, nothing, nothing); }
#else
const char *after(void) {
    pid_t child = fork();
    if (!child) _exit(0);
    int status;
    waitpid(child, &status, 0);
    return status ? "a child crashed" : 0;
}
#endif
