// 13 · a thread that the initializer starts, and a function for the exit stops (`atexit`, C11)
// cycles: 3
#include <stdatomic.h>
#include <stdlib.h>
#include <threads.h>
static thrd_t thread;
static atomic_int stops;
static int work(void *nothing) { while (!stops) thrd_yield(); return 0; }
static void stop(void) { stops = 1; thrd_join(thread, 0); }
__attribute__((constructor)) static void begin(void) { thrd_create(&thread, work, 0); atexit(stop); }
void act(void) {}
