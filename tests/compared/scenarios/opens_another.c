// 1 · a library that opens another for everybody (`RTLD_GLOBAL`) in its initializer, and closes it in its finalizer
// cycles: 3
#include <dlfcn.h>
static void *other;
__attribute__((constructor)) static void begin(void) { other = dlopen("libm.so.6", RTLD_NOW | RTLD_GLOBAL); }
__attribute__((destructor)) static void end(void) { dlclose(other); }
void act(void) { if (!dlsym(other, "cos")) __builtin_trap(); }
