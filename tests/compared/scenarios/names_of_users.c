// 7 · names of users and hosts, for which the C library loads modules (`getpwnam`, `getaddrinfo`)
// cycles: 3
#include <netdb.h>
#include <pwd.h>
void act(void) {
    struct addrinfo *found;
    getpwnam("root");
    if (!getaddrinfo("localhost", 0, 0, &found)) freeaddrinfo(found);
}
void act_on_caller(void) { act(); }
