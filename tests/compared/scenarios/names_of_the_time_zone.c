// 7 · names of the library's own for the time zone (`tzname`), which the host prints
// check: stays_mapped
#include <string.h>
#include <time.h>
#ifndef HOST
static char name[] = "OWN";
void act(void) { tzset(); tzname[0] = name; }
#else
const char *after(void) {
    char text[64];
    struct tm now = {.tm_zone = tzname[0], .tm_year = 100, .tm_mday = 1};
    strftime(text, sizeof text, "%Z", &now);
    return 0;
}
#endif
