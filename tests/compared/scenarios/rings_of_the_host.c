// 10 · kernel threads of an io_uring of the host
#include <linux/io_uring.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifndef HOST
void act(void) {}
#else
void before(void) {
    struct io_uring_params parameters;
    memset(&parameters, 0, sizeof parameters);
    parameters.flags = IORING_SETUP_SQPOLL;
    parameters.sq_thread_idle = 100000;
    syscall(SYS_io_uring_setup, 8, &parameters);
}
#endif
