// 13 · a thread that the library's finalizer cancels, with a function that cleans up (`pthread_cleanup_push`)
// lpm: no
#include <pthread.h>
#include <unistd.h>
static pthread_t thread;
static volatile int begun, cleaned;
static void clean(void *nothing) { cleaned = 1; }
static void *work(void *nothing) {
    pthread_cleanup_push(clean, 0);
    begun = 1;
    for (;;) pause();
    pthread_cleanup_pop(0);
    return nothing;
}
void act(void) { pthread_create(&thread, 0, work, 0); while (!begun) usleep(100); }
__attribute__((destructor)) static void end(void) {
    pthread_cancel(thread);
    pthread_join(thread, 0);
    if (!cleaned) __builtin_trap();
}
