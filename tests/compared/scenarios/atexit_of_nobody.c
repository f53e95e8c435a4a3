// 7 · a function for the end of the process that belongs to no library (`on_exit`)
// check: stays_mapped
#define _GNU_SOURCE
#include <stdlib.h>
static void end(int status, void *argument) {}
void act(void) { on_exit(end, 0); }
