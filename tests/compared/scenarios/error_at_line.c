// 7 · a name of a file of the library's own, which `error_at_line` remembers (`error_one_per_line`)
// check: prints stays_mapped
#include <error.h>
#ifndef HOST
void act(void) { error_one_per_line = 1; error_at_line(0, 0, "library.c", 7, "once"); }
#else
const char *after(void) { error_at_line(0, 0, "host.c", 7, "twice"); return 0; }
#endif
