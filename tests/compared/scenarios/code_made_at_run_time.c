// 10 · a thread of the host that runs code without unwind tables, made at run time
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#ifndef HOST
void act(void) {}
#else
static volatile int begun;
static void *run(void *code) {
    begun = 1;
    ((void (*)(void))code)();
    return 0;
}
void before(void) {
#ifdef __x86_64__
    static const unsigned char loop[] = {0xf3, 0x90, 0xeb, 0xfc}; // pause; jmp
#else
    static const unsigned char loop[] = {0x00, 0x00, 0x00, 0x14}; // b .
#endif
    void *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(code, loop, sizeof loop);
    pthread_t thread;
    pthread_create(&thread, 0, run, code);
    while (!begun) {}
}
#endif
