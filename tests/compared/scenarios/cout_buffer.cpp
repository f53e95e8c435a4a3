// 9 · a buffer of the library's own for `std::cout`
// check: stays_mapped
#include <iostream>
#include <streambuf>
#ifndef HOST
struct Mine : std::streambuf { int overflow(int c) override { return c; } };
static Mine mine;
extern "C" void act() { std::cout.rdbuf(&mine); }
#else
extern "C" const char *after() { std::cout << 7 << std::flush; return nullptr; }
#endif
