// 13 · a thread that the library's finalizer stops and joins
// cycles: 3
#include <pthread.h>
static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static int stops;
static void *work(void *nothing) {
    pthread_mutex_lock(&lock);
    while (!stops) pthread_cond_wait(&wake, &lock);
    pthread_mutex_unlock(&lock);
    return nothing;
}
void act(void) { pthread_create(&thread, 0, work, 0); }
__attribute__((destructor)) static void end(void) {
    pthread_mutex_lock(&lock);
    stops = 1;
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, 0);
}
