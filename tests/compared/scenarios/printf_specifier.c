// 7 · a conversion of `printf` of the library's own
// check: stays_mapped
#include <printf.h>
#include <stdio.h>
#ifndef HOST
static int print(FILE *stream, const struct printf_info *info, const void *const *arguments) { return 0; }
static int size(const struct printf_info *info, size_t count, int *types, int *sizes) { return 0; }
void act(void) { register_printf_specifier('W', print, size); }
#else
const char *after(void) { char text[8]; snprintf(text, sizeof text, "%W"); return 0; }
#endif
