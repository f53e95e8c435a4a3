// 7 · a signal handler in memory that the library made code in (as `libffi` does), which calls the library
// check: stays_mapped
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#ifndef HOST
static volatile int count;
static void handle(int number) { count++; }
void act(void) {
    unsigned char *code = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *target = handle;
#ifdef __x86_64__
    memcpy(code, "\x48\xb8", 2), memcpy(code + 2, &target, 8), memcpy(code + 10, "\xff\xe0", 2);
#else
    memcpy(code, "\x50\x00\x00\x58\x00\x02\x1f\xd6", 8), memcpy(code + 8, &target, 8);
#endif
    mprotect(code, 4096, PROT_READ | PROT_EXEC);
    __builtin___clear_cache((char *)code, (char *)code + 64);
    signal(SIGUSR1, (void (*)(int))code);
    raise(SIGUSR1);
    if (count != 1) __builtin_trap();
}
#else
const char *after(void) { raise(SIGUSR1); return 0; }
#endif
