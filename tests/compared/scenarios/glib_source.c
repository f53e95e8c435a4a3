// 3 · a function left in GLib's main loop (`g_idle_add`), which the host runs afterwards
// link: -l:libglib-2.0.so.0
// inspect: needed_stay
// check: stays_mapped
extern unsigned g_idle_add(int (*)(void *), void *);
#ifndef HOST
static int called(void *nothing) { return 1; }
void act(void) { g_idle_add(called, 0); }
#else
#include <dlfcn.h>
const char *after(void) {
    void *glib = dlopen("libglib-2.0.so.0", RTLD_NOW);
    int (*turn)(void *, int) = dlsym(glib, "g_main_context_iteration");
    turn(0, 0);
    return 0;
}
#endif
