// 7 · a function of the library's own that prints the version (`argp_program_version_hook`)
// check: stays_mapped
#include <argp.h>
#include <stdio.h>
#ifndef HOST
static void print(FILE *file, struct argp_state *state) {}
void act(void) { argp_program_version_hook = print; }
#else
static char *arguments[] = {"host", "--version", 0};
const char *after(void) {
    struct argp parser = {0};
    argp_parse(&parser, 2, arguments, ARGP_NO_EXIT, 0, 0);
    return 0;
}
#endif
