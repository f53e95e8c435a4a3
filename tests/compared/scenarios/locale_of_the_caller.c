// 7 · a locale that the library made, in force on the calling thread (`uselocale`), and one for the process
#define _GNU_SOURCE
#include <locale.h>
#include <stdio.h>
#include <time.h>
static char name[] = "C.UTF-8";
void act(void) { if (!setlocale(LC_ALL, name)) setlocale(LC_ALL, "C"); }
void act_on_caller(void) {
    char text[64];
    time_t now = 0;
    struct tm parts;
    uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
    strftime(text, sizeof text, "%A %B", gmtime_r(&now, &parts));
}
