// 1 · the same, and it is closed first, while the other one goes on with it; it has a finalizer and a handler
// close-first: yes
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>
#ifndef HOST
#ifndef SECOND
static int is_over;
static void handle(int signal) {}
int used_by_the_second(void) { if (is_over) __builtin_trap(); return 1; }
__attribute__((constructor)) static void show(void) {
    Dl_info own;
    if (dladdr(show, &own)) dlclose(dlopen(own.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL));
}
void act(void) { signal(SIGUSR1, handle); }
__attribute__((destructor)) static void end(void) { is_over = 1; }
#else
extern int used_by_the_second(void);
static void handle(int signal) { used_by_the_second(); }
void act(void) { used_by_the_second(); signal(SIGUSR2, handle); }
#endif
#else
void before(void) { signal(SIGUSR1, SIG_IGN); signal(SIGUSR2, SIG_IGN); }
void while_second(void) { raise(SIGUSR1); raise(SIGUSR2); }
const char *after(void) { raise(SIGUSR1); return 0; }
#endif
