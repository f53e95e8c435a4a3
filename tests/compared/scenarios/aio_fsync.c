// 7 · a file that is to be written out (`aio_fsync`) once a request before it is done, and then a function is called
#include <aio.h>
#include <fcntl.h>
#include <unistd.h>
#ifndef HOST
static char buffer[8];
static void done(union sigval value) {}
static struct aiocb request;
void act(void) {
    request.aio_fildes = 199;
    request.aio_sigevent.sigev_notify = SIGEV_THREAD;
    request.aio_sigevent.sigev_notify_function = done;
    aio_fsync(O_SYNC, &request);
    usleep(20000);
}
#else
static int ends[2];
static char buffer[8];
static struct aiocb request = {.aio_fildes = 199, .aio_buf = buffer, .aio_nbytes = 8};
void before(void) { pipe(ends); dup2(ends[0], 199); aio_read(&request); usleep(20000); }
const char *after(void) { write(ends[1], "x", 1); usleep(500000); return 0; }
#endif
