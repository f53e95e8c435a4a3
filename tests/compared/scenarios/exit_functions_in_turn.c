// 7 · a function for the exit that registers another, and a finalizer that registers a third
#include <stdlib.h>
static int order;
static void third(void) { if (order++ != 1) __builtin_trap(); }
static void second(void) { if (order++ != 2) __builtin_trap(); }
static void first(void) { if (order++ != 0) __builtin_trap(); atexit(second); atexit(third); }
static void late(void) { if (order != 0 && order != 3) __builtin_trap(); }
void act(void) { atexit(first); }
__attribute__((destructor)) static void end(void) { atexit(late); }
