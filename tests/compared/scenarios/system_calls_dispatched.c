// 7 · a byte of the library's own that the kernel reads at each system call (`PR_SET_SYSCALL_USER_DISPATCH`)
// check: stays_mapped
#include <sys/prctl.h>
#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
static char selector;
void act(void) { prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0L, 0L, &selector); }
