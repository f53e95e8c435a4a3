// 7 · a signal handler that `libffi` made (`ffi_prep_closure_loc`), which calls the library
// link: -l:libffi.so.8
// check: stays_mapped
#include <ffi.h>
#include <signal.h>
#ifndef HOST
static volatile int count;
static ffi_cif interface;
static ffi_type *arguments[] = {&ffi_type_sint};
static void handle(ffi_cif *interface, void *result, void **arguments, void *own) { count++; }
void act(void) {
    void *code;
    ffi_closure *closure = ffi_closure_alloc(sizeof *closure, &code);
    ffi_prep_cif(&interface, FFI_DEFAULT_ABI, 1, &ffi_type_void, arguments);
    ffi_prep_closure_loc(closure, &interface, handle, 0, code);
    signal(SIGUSR1, (void (*)(int))code);
    raise(SIGUSR1);
    if (count != 1) __builtin_trap();
}
#else
const char *after(void) { raise(SIGUSR1); return 0; }
#endif
