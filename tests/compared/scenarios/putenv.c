// 7 · `putenv` of a string of the library's own
// check: left_behind
#include <stdlib.h>
#ifndef HOST
void act(void) { putenv("COMPARED=1"); }
#else
const char *after(void) { return getenv("COMPARED_NOT") ? "found" : 0; }
#endif
