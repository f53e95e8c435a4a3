// 4 · an initializer that looks for the auxiliary vector behind the arguments, as Go's does
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
static unsigned long page;
__attribute__((constructor)) static void begin(int count, char **arguments, char **environment) {
    char **next = arguments + count + 1;
    while (*next) next++;
    for (Elf64_auxv_t *entry = (void *)(next + 1); entry->a_type; entry++)
        if (entry->a_type == AT_PAGESZ) page = entry->a_un.a_val;
}
void act(void) { if (page != getauxval(AT_PAGESZ)) abort(); }
