// 7 · a restartable sequence (`rseq`), of which the kernel looks up where it is described whenever the thread loses its processor
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#ifndef HOST
struct sequence { uint32_t version, flags; uint64_t start, length, abort; } __attribute__((aligned(32)));
/* Before the place where an interrupted sequence goes on, the kernel wants a number. */
#ifdef __aarch64__
static unsigned places[2] = {0xd428bc00};
#else
static unsigned places[2] = {0x53053053};
#endif
static struct sequence sequence;
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned __rseq_size __attribute__((weak));
static void leave(void) {
    if (!&__rseq_offset || !__rseq_size) return;
    sequence.abort = (uintptr_t)&places[1];
    volatile uint64_t *place = (void *)((char *)__builtin_thread_pointer() + __rseq_offset + 8);
    *place = (uintptr_t)&sequence;
}
void act(void) { leave(); }
#else
const char *after(void) {
    for (int i = 0; i < 20; i++) nanosleep(&(struct timespec){.tv_nsec = 1000000}, 0);
    return 0;
}
#endif
