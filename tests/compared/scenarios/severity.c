// 7 · a name of the library's own for a severity of messages (`addseverity`)
// check: stays_mapped
#include <fmtmsg.h>
int addseverity(int, const char *);
#ifndef HOST
static char name[] = "STRANGE";
void act(void) { addseverity(7, name); }
#else
const char *after(void) { fmtmsg(MM_PRINT, "host:host", 7, "text", "action", "tag"); return 0; }
#endif
