// 11 · a backtrace of the C library, with symbols
#include <execinfo.h>
#include <stdlib.h>
void act(void) { void *frames[32]; free(backtrace_symbols(frames, backtrace(frames, 32))); }
void act_on_caller(void) { act(); }
