// 7 · a state of the library's own for `random` (`initstate`)
// check: stays_mapped
#include <stdlib.h>
#ifndef HOST
static char state[128];
void act(void) { initstate(7, state, sizeof state); random(); }
#else
const char *after(void) { random(); return 0; }
#endif
