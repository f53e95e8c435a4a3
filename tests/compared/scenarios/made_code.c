// 7 · a function in a file in memory that the library made code in (`memfd_create`), which calls the library, left in a variable of the C library
// check: stays_mapped
#define _GNU_SOURCE
#include <obstack.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifndef HOST
static volatile int count;
static void failed(void) { count++; }
void act(void) {
    int file = memfd_create("code", MFD_CLOEXEC);
    if (ftruncate(file, 4096)) __builtin_trap();
    unsigned char *code = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    void *target = failed;
#ifdef __x86_64__
    memcpy(code, "\x48\xb8", 2), memcpy(code + 2, &target, 8), memcpy(code + 10, "\xff\xe0", 2);
#else
    memcpy(code, "\x50\x00\x00\x58\x00\x02\x1f\xd6", 8), memcpy(code + 8, &target, 8);
#endif
    unsigned char *run = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0);
    close(file);
    munmap(code, 4096);
    __builtin___clear_cache((char *)run, (char *)run + 64);
    obstack_alloc_failed_handler = (void (*)(void))run;
    obstack_alloc_failed_handler();
    if (count != 1) __builtin_trap();
}
#else
const char *after(void) { obstack_alloc_failed_handler(); return 0; }
#endif
