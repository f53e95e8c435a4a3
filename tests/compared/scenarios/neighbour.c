// 13 · a library that opens another while it is used, which lies beside it (`$ORIGIN`)
// link: -Wl,-rpath,$ORIGIN
// with: clean
#include <dlfcn.h>
void act(void) {
    void *other = dlopen("clean.so", RTLD_NOW);
    if (!other) __builtin_trap();
    dlclose(other);
}
