// 7 · a type of `printf` of the library's own (`register_printf_type`), and a modifier
// check: stays_mapped
#include <printf.h>
#include <stdarg.h>
#include <stdio.h>
#include <wchar.h>
#ifndef HOST
static void take(void *memory, va_list *list) { *(int *)memory = va_arg(*list, int); }
void act(void) {
    register_printf_type(take);
    register_printf_modifier(L"QQ");
}
#else
static int print(FILE *out, const struct printf_info *info, const void *const *arguments) { return fprintf(out, "x"); }
static int size(const struct printf_info *info, size_t count, int *types, int *sizes) {
    if (count) types[0] = PA_LAST, sizes[0] = sizeof(int);
    return 1;
}
const char *after(void) {
    register_printf_specifier('Y', print, size);
    char text[9];
    snprintf(text, sizeof text, "%Y", 1);
    return 0;
}
#endif
