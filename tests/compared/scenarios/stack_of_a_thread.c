// 7 · a thread with a stack in the library's data, which has ended and was never joined
// check: stays_mapped
#include <pthread.h>
#include <unistd.h>
#ifndef HOST
static char stack[1 << 18] __attribute__((aligned(4096)));
static void *work(void *nothing) { return nothing; }
void act(void) {
    pthread_t thread;
    pthread_attr_t kind;
    pthread_attr_init(&kind);
    pthread_attr_setstack(&kind, stack, sizeof stack);
    pthread_create(&thread, &kind, work, 0);
    usleep(50000);
}
#else
static char stack[1 << 18] __attribute__((aligned(4096)));
static void *work(void *nothing) { return nothing; }
const char *after(void) {
    pthread_t thread;
    pthread_attr_t kind;
    pthread_attr_init(&kind);
    pthread_attr_setstack(&kind, stack, sizeof stack);
    pthread_create(&thread, &kind, work, 0);
    pthread_join(thread, 0);
    return 0;
}
#endif
