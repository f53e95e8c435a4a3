// – · a library that makes what it defines known to all, as interpreters do for their modules: one that is opened later uses it
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#ifndef HOST
#ifndef SECOND
static int count;
int counted_by_the_first(void) { return ++count; }
__attribute__((constructor)) static void show(void) {
    Dl_info own;
    if (dladdr(show, &own)) dlclose(dlopen(own.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL));
}
void act(void) {}
#else
extern int counted_by_the_first(void);
void act(void) { counted_by_the_first(); }
#endif
#else
void before(void) {}
#endif
