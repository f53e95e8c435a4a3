// 13 · linked for an address of its own, with pages of 2 MiB, an old table of names and no names of sections
// link: -Wl,-Ttext-segment=0x10000000 -Wl,-z,max-page-size=2097152 -Wl,--hash-style=sysv -s
#include <pthread.h>
static pthread_key_t key;
static void destroy(void *value) { *(int *)value = 0; }
static int value;
void act(void) { pthread_key_create(&key, destroy); }
void act_on_caller(void) { pthread_setspecific(key, &value); }
