// – · a `pthread` key with values in two threads
#include <pthread.h>
static pthread_key_t key;
static void destroy(void *value) { *(int *)value = 0; }
static int values[2];
void act(void) {
    pthread_key_create(&key, destroy);
    pthread_setspecific(key, &values[0]);
}
void act_on_caller(void) { pthread_setspecific(key, &values[1]); }
