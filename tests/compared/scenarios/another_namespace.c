// 7 · a function that a library in a namespace of its own (`dlmopen`) keeps and calls
// lpm: no
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
#ifndef HOST
static volatile int count;
static void called(void) { count++; }
void act(void) {
    void *other = dlmopen(LM_ID_NEWLM, getenv("NAMESPACE_LIBRARY"), RTLD_NOW);
    if (!other) __builtin_trap();
    void (*keep)(void (*)(void)) = dlsym(other, "keep");
    void (*call)(void) = dlsym(other, "call");
    keep(called);
    call();
    if (count != 1) __builtin_trap();
    char text[32] = "";
    for (int i = 0, n = 60; n >= 0; n -= 4) text[i++] = 'a' + (((unsigned long)call >> n) & 15);
    setenv("NAMESPACE_CALL", text, 1);
}
#else
static void (*kept)(void);
void keep(void (*function)(void)) { kept = function; }
void call(void) { kept(); }
void before(void) {
    Dl_info found;
    dladdr(before, &found);
    setenv("NAMESPACE_LIBRARY", found.dli_fname, 1);
}
const char *after(void) {
    unsigned long address = 0;
    for (const char *text = getenv("NAMESPACE_CALL"); *text; text++) address = address << 4 | (*text - 'a');
    ((void (*)(void))address)();
    return 0;
}
#endif
