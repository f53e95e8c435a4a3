// 7 · `openlog` with a name of the library's own
// check: left_behind
#include <syslog.h>
#ifndef HOST
void act(void) { openlog("compared", 0, LOG_USER); }
#else
const char *after(void) { syslog(LOG_DEBUG, "a test"); return 0; }
#endif
