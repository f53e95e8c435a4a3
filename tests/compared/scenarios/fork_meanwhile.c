// 6 · children are forked while the library registers and forgets: each runs the same functions
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifndef HOST
extern int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);
extern void *__dso_handle;
static void nothing(int signal) {}
static void no(void *value) {}
static void come(union sigval value) {}
static void *end(void *argument) { return argument; }
static void once(void) {
    pthread_key_t key;
    if (!pthread_key_create(&key, no)) {
        pthread_setspecific(key, &key);
        pthread_setspecific(key, 0);
        pthread_key_delete(key);
    }
    signal(SIGUSR2, nothing);
    struct sigaction action = {.sa_handler = nothing}, former;
    sigaction(SIGUSR2, &action, &former);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    if (!timer_create(CLOCK_MONOTONIC, &event, &timer)) timer_delete(timer);
    event = (struct sigevent){.sigev_notify = SIGEV_THREAD, .sigev_notify_function = come};
    mq_notify(-1, &event);
    int file = open("/proc/self/exe", O_RDONLY);
    void *mapped = mmap(0, 4096, PROT_READ, MAP_PRIVATE, file, 0);
    munmap(mapped, 4096);
    close(file);
    pthread_t thread;
    if (!pthread_create(&thread, 0, end, 0)) pthread_join(thread, 0);
    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, 0);
    char name[16];
    prctl(PR_GET_NAME, name);
    free(realloc(malloc(10), 2000));
}
static volatile int over;
static void *work(void *argument) {
    while (!over) once();
    return 0;
}
void act(void) {
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], 0, work, 0);
    for (int i = 0; i < 300; i++) {
        pid_t child = fork();
        if (!child) {
            alarm(30);
            once();
            signal(SIGUSR2, SIG_DFL);
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        if (status) { setenv("CHILD", "hangs", 1); break; }
    }
    over = 1;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], 0);
    signal(SIGUSR2, SIG_DFL);
}
#else
const char *after(void) { return getenv("CHILD") ? "a child hung" : 0; }
#endif
