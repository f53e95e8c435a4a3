// 9 · `std::set_new_handler` with a function of the library's own
// check: stays_mapped
#include <cstdlib>
#include <new>
#ifndef HOST
static void more() { std::set_new_handler(nullptr); }
extern "C" void act() { std::set_new_handler(more); }
#else
extern "C" const char *after() {
    try { operator delete(operator new(size_t(1) << 62)); } catch (const std::bad_alloc &) {}
    return nullptr;
}
#endif
