// 13 · code that is not position-independent, with addresses that the loader writes into it (`DT_TEXTREL`), and a thread-specific key
// link: -fno-pic -mcmodel=large -Wl,-z,notext
#include <pthread.h>
static pthread_key_t key;
static void destroy(void *value) { *(int *)value = 0; }
static int value;
void act(void) { pthread_key_create(&key, destroy); }
void act_on_caller(void) { pthread_setspecific(key, &value); }
