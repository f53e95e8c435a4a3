// – · C++ that does something once (`std::call_once`), throws and catches, prints, reads by pattern and waits for what another thread promises
// link: -fno-gnu-unique
// check: stays_mapped
#include <future>
#include <iostream>
#include <locale>
#include <mutex>
#include <regex>
#include <sstream>
#include <stdexcept>
static std::once_flag flag;
static int all() {
    std::call_once(flag, [] { std::cerr << ""; });
    try { throw std::runtime_error("thrown"); } catch (const std::exception &) {}
    std::ostringstream out;
    out.imbue(std::locale::classic());
    out << 1.5 << std::hex << 17 << std::endl;
    std::promise<int> promise;
    std::thread thread([&] { promise.set_value(7); });
    int value = promise.get_future().get();
    thread.join();
    std::wcerr << L"";
    return std::regex_search("wxyz", std::regex("[x-y]+")) + value;
}
extern "C" void act() { all(); }
extern "C" void act_on_caller() { all(); }
