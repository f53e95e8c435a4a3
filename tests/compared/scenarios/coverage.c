// – · instrumented for coverage (`--coverage`): its finalizer writes how often what ran
// link: --coverage
extern void __gcov_dump(void) __attribute__((weak));
static int count;
void act(void) { for (int i = 0; i < 9; i++) count += i; }
