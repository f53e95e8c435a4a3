// 3 · a callback left in OpenSSL (`CRYPTO_get_ex_new_index`), which somebody else uses afterwards
// link: -l:libssl.so.3 -l:libcrypto.so.3
// inspect: needed_stay
// check: stays_mapped
#ifndef HOST
extern int CRYPTO_get_ex_new_index(int, long, void *, void *, void *, void *);
extern void *TLS_method(void);
extern void *SSL_CTX_new(const void *);
extern void SSL_CTX_free(void *);
static void made(void *a, void *b, void *c, int d, long e, void *f) {}
static void freed(void *a, void *b, void *c, int d, long e, void *f) {}
void act(void) {
    CRYPTO_get_ex_new_index(1, 0, 0, made, 0, freed);
    SSL_CTX_free(SSL_CTX_new(TLS_method()));
}
#else
#include <dlfcn.h>
static void *ssl;
void before(void) { ssl = dlopen("libssl.so.3", RTLD_NOW); }
const char *after(void) {
    void *(*method)(void) = dlsym(ssl, "TLS_method");
    void *(*make)(const void *) = dlsym(ssl, "SSL_CTX_new");
    void (*drop)(void *) = dlsym(ssl, "SSL_CTX_free");
    drop(make(method()));
    return 0;
}
#endif
