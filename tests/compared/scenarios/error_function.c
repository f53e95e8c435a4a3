// 7 · a function of the library's own that `error` calls (`error_print_progname`)
// check: stays_mapped
#include <error.h>
#ifndef HOST
static void print(void) {}
void act(void) { error_print_progname = print; }
#else
const char *after(void) { error(0, 0, "after"); return 0; }
#endif
