// 7 · a conversion between character sets (`iconv`), for which the C library loads a module
// cycles: 3
#include <iconv.h>
void act(void) {
    iconv_t conversion = iconv_open("EUC-JP", "UTF-8");
    if (conversion == (iconv_t)-1) return;
    char in[] = "abc", out[16], *from = in, *to = out;
    size_t left = 3, room = 16;
    iconv(conversion, &from, &left, &to, &room);
    iconv_close(conversion);
}
void act_on_caller(void) { act(); }
