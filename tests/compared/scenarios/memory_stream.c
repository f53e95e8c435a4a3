// 7 · a stream to memory whose address and length are told to variables of the library's (`open_memstream`), left open
#include <stdio.h>
static char *text;
static size_t length;
void act(void) { fprintf(open_memstream(&text, &length), "left open"); }
