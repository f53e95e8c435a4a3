// – · a function that is chosen when the library is loaded (`ifunc`)
static int plain(void) { return 1; }
static int (*choose(void))(void) { return plain; }
int chosen(void) __attribute__((ifunc("choose")));
int (*table[])(void) = {chosen};
void act(void) { if (chosen() + table[0]() != 2) __builtin_trap(); }
void act_on_caller(void) { act(); }
