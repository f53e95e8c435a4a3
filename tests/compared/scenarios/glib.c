// 1 · GLib, loaded for the library's sake, with thread-specific data; three times over
// cycles: 3
// link: -l:libglib-2.0.so.0
// inspect: needed_stay
typedef struct { void *p; void (*notify)(void *); void *reserved[2]; } GPrivate;
extern void *g_private_get(GPrivate *);
extern void g_private_set(GPrivate *, void *);
extern char *g_strdup_printf(const char *, ...);
extern void g_free(void *);
extern void *g_main_context_get_thread_default(void);
extern void *g_main_context_new(void);
extern void g_main_context_push_thread_default(void *);
extern void g_main_context_pop_thread_default(void *);
extern void g_main_context_unref(void *);

void act(void) {
    void *context = g_main_context_new();
    g_main_context_push_thread_default(context);
    g_main_context_pop_thread_default(context);
    g_main_context_unref(context);
    g_free(g_strdup_printf("%d", 7));
}
void act_on_caller(void) { act(); }
