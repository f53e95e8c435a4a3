// 7 · a function of the library's own for when a message comes (`mq_notify`)
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#ifndef HOST
static void came(union sigval value) {}
void act(void) {
    char name[40];
    snprintf(name, sizeof name, "/compared-%d", getpid());
    mqd_t queue = mq_open(name, O_RDONLY);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD};
    event.sigev_notify_function = came;
    mq_notify(queue, &event);
}
#else
static char name[40];
static mqd_t queue;
void before(void) {
    snprintf(name, sizeof name, "/compared-%d", getpid());
    queue = mq_open(name, O_CREAT | O_RDWR, 0600, 0);
    if (queue == -1) perror("mq_open");
}
void between(void) { mq_unlink(name); }
const char *after(void) {
    mq_send(queue, "x", 1, 0);
    usleep(2000000);
    return 0;
}
#endif
