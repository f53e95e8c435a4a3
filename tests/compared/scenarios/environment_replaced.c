// 7 · an environment of the library's own (`environ`)
// check: left_behind stays_mapped
#include <stdlib.h>
extern char **environ;
#ifndef HOST
static char *variables[] = {"A=b", 0};
void act(void) { environ = variables; }
#else
const char *after(void) { getenv("A"); setenv("C", "d", 1); return 0; }
#endif
