// – · functions that the library looks up while it runs (`dlsym`): a key, a timer that calls a function, a handler
// check: left_behind
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#ifndef HOST
static pthread_key_t key;
static int values[2];
static void destroy(void *value) { *(int *)value = 0; }
static void come(union sigval value) { values[0]++; }
static void handle(int signal) { values[1]++; }
void act(void) {
    int (*create)(pthread_key_t *, void (*)(void *)) = dlsym(RTLD_DEFAULT, "pthread_key_create");
    create(&key, destroy);
    int (*set)(pthread_key_t, const void *) = dlsym(RTLD_DEFAULT, "pthread_setspecific");
    set(key, &values[0]);
    int (*timer_new)(clockid_t, struct sigevent *, timer_t *) = dlsym(RTLD_NEXT, "timer_create");
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = come};
    timer_t timer;
    timer_new(CLOCK_MONOTONIC, &event, &timer);
    struct itimerspec soon = {.it_value = {.tv_nsec = 50000000}, .it_interval = {.tv_nsec = 50000000}};
    timer_settime(timer, 0, &soon, 0);
    void *libc = dlopen("libc.so.6", RTLD_NOW);
    void (*(*set_handler)(int, void (*)(int)))(int) = dlsym(libc, "signal");
    set_handler(SIGUSR1, handle);
    dlclose(libc);
}
void act_on_caller(void) {
    int (*set)(pthread_key_t, const void *) = dlsym(RTLD_DEFAULT, "pthread_setspecific");
    set(key, &values[1]);
}
#else
void before(void) { signal(SIGUSR1, SIG_IGN); }
const char *after(void) {
    raise(SIGUSR1);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, 0);
    return 0;
}
#endif
