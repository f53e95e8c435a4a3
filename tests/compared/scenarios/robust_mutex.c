// 7 · a robust mutex of the library's own that the calling thread holds to its end
#define _GNU_SOURCE
#include <pthread.h>
static pthread_mutex_t mutex;
void act(void) {
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex, &kind);
}
void act_on_caller(void) { pthread_mutex_lock(&mutex); }
