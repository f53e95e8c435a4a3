// 11 · a file that the library mapped to read it, and forgot: itself, as a backtrace with names does
// leaves: file
// check: left_behind
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
void act(void) {
    Dl_info info;
    dladdr(act, &info);
    int file = open(info.dli_fname, O_RDONLY);
    mmap(0, 4096, PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
}
