// 7 · a buffer of the library's own for stdout
// check: stays_mapped
#include <stdio.h>
#ifndef HOST
static char buffer[4096];
void act(void) { setvbuf(stdout, buffer, _IOFBF, sizeof buffer); printf("\n"); }
#else
const char *after(void) { printf("afterwards\n"); fflush(stdout); return 0; }
#endif
