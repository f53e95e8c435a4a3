// 7 · a signal stack of the library's own for the calling thread
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#ifndef HOST
static char memory[1 << 16];
void act_on_caller(void) { sigaltstack(&(stack_t){.ss_sp = memory, .ss_size = sizeof memory}, 0); kill(getpid(), SIGUSR2); }
#else
#include <sys/syscall.h>
#include <dirent.h>
#include <stdlib.h>
static void handle(int signal) {}
void before(void) {
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handle, .sa_flags = SA_ONSTACK}, 0);
    signal(SIGUSR2, SIG_IGN);
}
const char *after(void) {
    DIR *threads = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(threads));)
        if (atoi(entry->d_name)) syscall(SYS_tgkill, getpid(), atoi(entry->d_name), SIGUSR1);
    closedir(threads);
    usleep(20000);
    return 0;
}
#endif
