// 13 · C++ with a thread that a static object starts, and stops when it is destroyed
#include <atomic>
#include <thread>
struct Worker {
    std::atomic<bool> stops{false};
    std::thread thread{[this] { while (!stops) std::this_thread::yield(); }};
    ~Worker() { stops = true; thread.join(); }
};
extern "C" void act() { static Worker worker; }
