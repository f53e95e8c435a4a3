// 7 · counts of where the program is, in the library's own memory (`profil`)
// check: stays_mapped
#define _GNU_SOURCE
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#ifndef HOST
static unsigned short counts[1 << 16];
void act(void) { profil(counts, sizeof counts, 0, 1); }
#else
const char *after(void) {
    for (clock_t end = clock() + CLOCKS_PER_SEC / 5; clock() < end;) {}
    return 0;
}
#endif
