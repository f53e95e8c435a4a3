// 7 · a name of the library's own for the program (`program_invocation_name`), which `error` prints
// check: stays_mapped
#define _GNU_SOURCE
#include <errno.h>
#include <error.h>
#ifndef HOST
void act(void) { program_invocation_name = "plugin"; }
#else
const char *after(void) { error(0, 0, "after"); return 0; }
#endif
