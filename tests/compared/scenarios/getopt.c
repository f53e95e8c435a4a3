// 7 · options of the library's own, read with `getopt`, and not to the end
// check: stays_mapped
#define _GNU_SOURCE
#include <getopt.h>
#ifndef HOST
static char a[] = "-xy", b[] = "-o", c[] = "value";
static char *arguments[] = {"plugin", b, c, a, 0};
void act(void) {
    optind = 1;
    while (getopt(4, arguments, "xyo:") != 'x') {}
}
#else
static char *arguments[] = {"host", "-y", 0};
const char *after(void) {
    optind = 1;
    return getopt(2, arguments, "y") == 'y' ? 0 : "options are read wrongly";
}
#endif
