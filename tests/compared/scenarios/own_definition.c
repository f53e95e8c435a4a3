// – · a library that defines a function of the C library, too, which the loader passes over
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#ifndef HOST
static pthread_key_t key;
static int values[2];
static void destroy(void *value) { *(int *)value = 0; }
int pthread_key_create(pthread_key_t *key, void (*destructor)(void *)) {
    return ((int (*)(pthread_key_t *, void (*)(void *)))dlsym(RTLD_NEXT, "pthread_key_create"))(key, destructor);
}
static int made;
void act(void) {
    if (!made++) pthread_key_create(&key, destroy);
    pthread_setspecific(key, &values[0]);
}
void act_on_caller(void) { pthread_setspecific(key, &values[1]); }
#else
void before(void) {}
#endif
