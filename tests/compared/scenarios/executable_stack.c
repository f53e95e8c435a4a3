// 13 · linked as needing an executable stack
// accepts: every stack is executable
// link: -Wl,-z,execstack
// inspect: executable_stack
// check: hinders_unloading
#include <stdio.h>
#include <string.h>
#ifndef HOST
void act(void) {}
#else
const char *after(void) {
    char line[400];
    const char *found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps))
        if (strstr(line, "[stack]") && strstr(line, "rwx")) found = "every stack is executable";
    fclose(maps);
    return found;
}
#endif
