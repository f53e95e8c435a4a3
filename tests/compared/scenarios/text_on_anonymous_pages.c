// – · a library that moves its own code to memory of no file, as is done for large pages
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <stdint.h>
static int move(struct dl_phdr_info *info, size_t size, void *self) {
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + part->p_vaddr;
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
        if ((uintptr_t)self - start >= part->p_memsz) continue;
        size_t length = (part->p_memsz + 4095 + (start & 4095)) & -4096;
        start &= -4096;
        void *copy = mmap(0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memcpy(copy, (void *)start, length);
        mprotect(copy, length, PROT_READ | PROT_EXEC);
        mremap(copy, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)start);
        return 1;
    }
    return 0;
}
void act(void) { dl_iterate_phdr(move, act); }
void act_on_caller(void) {}
