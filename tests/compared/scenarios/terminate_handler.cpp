// 9 · `std::set_terminate` with a function of the library's own; the host runs without anybody who catches
// check: stays_mapped
#include <exception>
#include <cstdlib>
#ifndef HOST
static void end() { std::_Exit(0); }
extern "C" void act() { std::set_terminate(end); }
#else
static void end() { std::_Exit(0); }
extern "C" const char *after() { if (std::get_terminate()) {} std::terminate_handler h = std::set_terminate(end); std::set_terminate(h); h(); return nullptr; }
#endif
