// 7 · an open stream with functions of the library's own
// check: stays_mapped
#define _GNU_SOURCE
#include <stdio.h>
static ssize_t put(void *cookie, const char *text, size_t size) { return size; }
void act(void) {
    FILE *stream = fopencookie(0, "w", (cookie_io_functions_t){.write = put});
    fputs("kept", stream);
}
