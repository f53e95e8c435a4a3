// 1 · fork handlers that the finalizer registers, and a child that the finalizer forks
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#ifndef HOST
static void handle(void) {}
void act(void) {}
__attribute__((destructor)) static void end(void) {
    pthread_atfork(handle, handle, handle);
    pid_t child = fork();
    if (!child) _exit(0);
    waitpid(child, 0, 0);
}
#else
const char *after(void) {
    pid_t child = fork();
    if (!child) _exit(0);
    waitpid(child, 0, 0);
    return 0;
}
#endif
