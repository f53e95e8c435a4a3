// 1 · linked `-z nodelete`, with a `pthread` key and values in two threads
// link: -Wl,-z,nodelete
// inspect: no_delete
// check: hinders_unloading
#include <pthread.h>
static pthread_key_t key;
static int made;
static void destroy(void *value) { *(int *)value = 0; }
static int values[2];
void act(void) {
    if (!made++) pthread_key_create(&key, destroy);
    pthread_setspecific(key, &values[0]);
}
void act_on_caller(void) { pthread_setspecific(key, &values[1]); }
