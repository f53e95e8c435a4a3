// 7 · names that were looked up (`getaddrinfo_a`), with a function that was called when that was done
// cycles: 3
#define _GNU_SOURCE
#include <netdb.h>
#include <signal.h>
#include <unistd.h>
static struct gaicb request, *list[1] = {&request};
static volatile int is_done;
static void done(union sigval value) { is_done = 1; }
void act(void) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = done};
    request.ar_name = "127.0.0.1";
    getaddrinfo_a(GAI_NOWAIT, list, 1, &event);
    while (!is_done) usleep(1000);
    freeaddrinfo(request.ar_result);
}
