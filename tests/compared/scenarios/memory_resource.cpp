// 9 · a memory resource of the library's own for all of C++ (`std::pmr::set_default_resource`)
// link: -std=c++17
// check: stays_mapped
#include <memory_resource>
#ifndef HOST
static struct : std::pmr::memory_resource {
    void *do_allocate(std::size_t size, std::size_t) override { return ::operator new(size); }
    void do_deallocate(void *memory, std::size_t, std::size_t) override { ::operator delete(memory); }
    bool do_is_equal(const memory_resource &other) const noexcept override { return this == &other; }
} own;
extern "C" void act() { std::pmr::set_default_resource(&own); }
#else
extern "C" const char *after() { std::pmr::get_default_resource()->allocate(8); return 0; }
#endif
