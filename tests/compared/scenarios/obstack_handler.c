// 7 · a function of the library's own for obstacks without memory (`obstack_alloc_failed_handler`)
// check: stays_mapped
#include <obstack.h>
#ifndef HOST
static void failed(void) {}
void act(void) { obstack_alloc_failed_handler = failed; }
#else
const char *after(void) { obstack_alloc_failed_handler(); return 0; }
#endif
