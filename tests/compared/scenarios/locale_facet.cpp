// 9 · a facet of the library's own in C++'s global locale
// check: stays_mapped
#include <locale>
#ifndef HOST
struct Point : std::numpunct<char> { char do_decimal_point() const override { return ','; } };
extern "C" void act() { std::locale::global(std::locale(std::locale(), new Point)); }
#else
extern "C" const char *after() {
    return std::use_facet<std::numpunct<char>>(std::locale()).decimal_point() == 'x' ? "odd" : nullptr;
}
#endif
