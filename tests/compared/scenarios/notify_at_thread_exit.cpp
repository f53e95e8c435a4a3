// 9 · a variable of the library's own that C++ notifies when the calling thread ends (`notify_all_at_thread_exit`)
#include <condition_variable>
#include <mutex>
static std::mutex lock;
static std::condition_variable ended;
extern "C" void act_on_caller() { std::notify_all_at_thread_exit(ended, std::unique_lock<std::mutex>(lock)); }
