// 7 · a function for the end of the process (`at_quick_exit`), which ends so
#include <stdlib.h>
#ifndef HOST
static void last(void) {}
void act(void) { at_quick_exit(last); }
#else
const char *at_end(void) { quick_exit(0); }
#endif
