// 7 · unwind tables of code made at run time, registered and forgotten (`__register_frame`); then the host throws
// check: stays_mapped
#include <cstring>
extern "C" void __register_frame(void *);
#ifndef HOST
static char tables[256] __attribute__((aligned(8)));
static char code[64];
extern "C" void act() {
    // What is common (CIE), what is said of `code` (FDE), and the end.
    unsigned common[] = {12, 0}, about[] = {20, 20};
    const void *place[] = {code, (void *)sizeof code};
    memcpy(tables, common, 8);
    memcpy(tables + 8, "\1\0\1\x78\x10", 5);
    memcpy(tables + 16, about, 8);
    memcpy(tables + 24, place, 16);
    __register_frame(tables);
}
#else
extern "C" const char *after() {
    try { throw 7; } catch (int) {}
    return nullptr;
}
#endif
