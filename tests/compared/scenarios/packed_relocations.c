// 13 · linked with packed relocations (`DT_RELR`), initialized before all others (`-z initfirst`), with an initializer and a key
// link: -Wl,-z,pack-relative-relocs -Wl,-z,initfirst
#include <pthread.h>
static pthread_key_t key;
static int value, begun;
static void destroy(void *value) { *(int *)value = 0; }
static int *const places[] = {&value, &begun};
__attribute__((constructor)) static void begin(void) { *places[1] = 1; }
void act(void) { if (!begun) __builtin_trap(); pthread_key_create(&key, destroy); }
void act_on_caller(void) { pthread_setspecific(key, places[0]); }
