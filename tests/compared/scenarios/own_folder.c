// 13 · a library that looks for its own file, to read what lies beside it (`dladdr`)
// lpm: no
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
void act(void) {
    Dl_info found;
    char path[4096];
    if (!dladdr(act, &found)) __builtin_trap();
    snprintf(path, sizeof path, "%s", found.dli_fname);
    char *name = strrchr(path, '/');
    if (!name || strcmp(name, "/own_folder.so") || access(path, R_OK)) __builtin_trap();
    /* Itself, as those do that want to stay or to be found. */
    void *self = dlopen(found.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    if (!self || dlsym(self, "act") != (void *)act) __builtin_trap();
    char folder[4096];
    if (dlinfo(self, RTLD_DI_ORIGIN, folder) || strncmp(folder, path, name - path) || folder[name - path]) __builtin_trap();
    dlclose(self);
}
