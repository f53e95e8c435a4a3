// 1 · C++ with a symbol that is unique in the process (`STB_GNU_UNIQUE`), and an object per thread
// link: -fgnu-unique
// inspect: unique_symbols
// check: hinders_unloading stays_mapped
template <class T> struct Shared { static int count; };
template <class T> int Shared<T>::count = 1;
struct Value { int *at = &Shared<int>::count; ~Value() { --*at; } };
thread_local Value value;
extern "C" void act() { ++*value.at; }
extern "C" void act_on_caller() { act(); }
