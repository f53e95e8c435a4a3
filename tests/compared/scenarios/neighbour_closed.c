// 1 · a library that its initializer opens from beside it (`$ORIGIN`), and its finalizer closes
// link: -Wl,-rpath,$ORIGIN
// with: clean
// cycles: 3
#include <dlfcn.h>
static void *other;
__attribute__((constructor)) static void begin(void) { other = dlopen("$ORIGIN/clean.so", RTLD_NOW | RTLD_GLOBAL); }
__attribute__((destructor)) static void end(void) { if (dlclose(other)) __builtin_trap(); }
void act(void) { if (!other || !dlsym(other, "act")) __builtin_trap(); }
