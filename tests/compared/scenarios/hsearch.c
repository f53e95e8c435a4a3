// 7 · a key of the library's own in the process's table (`hsearch`)
// check: stays_mapped
#include <search.h>
#ifndef HOST
void act(void) { hcreate(8); hsearch((ENTRY){"key", "value"}, ENTER); }
#else
const char *after(void) { return hsearch((ENTRY){"key", 0}, FIND) ? 0 : "the key is lost"; }
#endif
