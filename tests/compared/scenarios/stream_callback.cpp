// 9 · a function of the library's own that `std::cout` calls when its locale changes (`register_callback`)
// check: stays_mapped
#include <iostream>
#include <locale>
#ifndef HOST
static void called(std::ios_base::event, std::ios_base &, int) {}
extern "C" void act() { std::cout.register_callback(called, 0); }
#else
extern "C" const char *after() { std::cout.imbue(std::locale::classic()); return 0; }
#endif
