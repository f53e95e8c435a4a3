// – · a thread of the library's that runs a function of the C library only, and waits for a semaphore in the library's data
// check: stays_mapped
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>
#ifndef HOST
static sem_t semaphore;
void act(void) {
    pthread_t thread;
    sem_init(&semaphore, 0, 0);
    pthread_create(&thread, 0, (void *(*)(void *))sem_wait, &semaphore);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, 0);
}
#else
const char *after(void) { nanosleep(&(struct timespec){.tv_nsec = 100000000}, 0); return 0; }
#endif
