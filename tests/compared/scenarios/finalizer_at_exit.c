// 13 · the process exits while the library is loaded
// closes: no
#include <unistd.h>
__attribute__((destructor)) static void end(void) {
    static const char text[] = "\n@ closed: stays open, and its finalizers run at exit\n";
    ssize_t written = write(1, text, sizeof text - 1);
    (void)written;
}
void act(void) {}
