// 7 · a request under way that calls a function of the library's own (`aio_read`)
#include <aio.h>
#include <unistd.h>
#ifndef HOST
static char buffer[8];
static void done(union sigval value) {}
static struct aiocb request;
void act(void) {
    request.aio_fildes = 199;
    request.aio_buf = buffer;
    request.aio_nbytes = 8;
    request.aio_sigevent.sigev_notify = SIGEV_THREAD;
    request.aio_sigevent.sigev_notify_function = done;
    aio_read(&request);
    usleep(20000);
}
#else
static int ends[2];
void before(void) { pipe(ends); dup2(ends[0], 199); }
const char *after(void) { write(ends[1], "x", 1); usleep(2000000); return 0; }
#endif
