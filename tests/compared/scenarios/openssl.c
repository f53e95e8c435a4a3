// 1 · OpenSSL, loaded for the library's sake; three times over, then used by somebody else
// cycles: 3
// link: -l:libssl.so.3 -l:libcrypto.so.3
// inspect: needed_stay
#ifndef HOST
extern void *TLS_method(void);
extern void *SSL_CTX_new(const void *);
extern void SSL_CTX_free(void *);
extern int RAND_bytes(unsigned char *, int);
#include <stdlib.h>
void act(void) {
    unsigned char bytes[8];
    if (RAND_bytes(bytes, 8) != 1) abort();
    void *context = SSL_CTX_new(TLS_method());
    if (!context) abort();
    SSL_CTX_free(context);
}
void act_on_caller(void) { act(); }
#else
#include <dlfcn.h>
const char *after(void) {
    void *crypto = dlopen("libcrypto.so.3", RTLD_NOW), *ssl = dlopen("libssl.so.3", RTLD_NOW);
    int (*random)(unsigned char *, int) = dlsym(crypto, "RAND_bytes");
    void *(*method)(void) = dlsym(ssl, "TLS_method");
    void *(*make)(const void *) = dlsym(ssl, "SSL_CTX_new");
    unsigned char bytes[8];
    return random(bytes, 8) == 1 && make(method()) ? 0 : "OpenSSL refuses";
}
#endif
