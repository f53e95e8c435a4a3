// 1 · a library that opens itself, in order to stay, with a signal handler and a finalizer
// check: stays_mapped
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>
#ifndef HOST
static int is_over;
static void handle(int number) { if (is_over) __builtin_trap(); }
void act(void) {
    Dl_info found;
    signal(SIGUSR1, handle);
    if (!dladdr(act, &found) || !dlopen(found.dli_fname, RTLD_NOW)) __builtin_trap();
}
__attribute__((destructor)) static void end(void) { is_over = 1; }
#else
const char *after(void) { raise(SIGUSR1); return 0; }
#endif
