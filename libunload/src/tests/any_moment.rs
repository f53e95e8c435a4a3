//! Children and signal handlers come at any moment, and use the functions that are stood in for.

use std::collections::BTreeSet;
use std::ffi::{CStr, c_char, c_int};

use super::fixture::{Fixture, function, in_own_process};
use crate::glibc::stood_in_for;
use crate::library::Library;

/// Rows of functions with what calls them. What another thread does meanwhile is the same, unless
/// glibc itself would let a child hang that does it: then it is something else that takes the same
/// locks of the host's.
const FUNCTIONS: &str = r#"
#define _GNU_SOURCE
#include <aio.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <syslog.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

extern int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);
extern int __cxa_atexit(void (*)(void *), void *, void *);
extern int __cxa_at_quick_exit(void (*)(void *), void *);
extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *);
extern void *__dso_handle;

static void no(void *value) { (void)value; }
static void exits(int status, void *value) { (void)status; (void)value; }
static void come(union sigval value) { (void)value; }
static void nothing(int signal) { (void)signal; }
static void *end(void *argument) { return argument; }
static int end_c11(void *argument) { (void)argument; return 0; }

static void keys(void) {
    pthread_key_t key;
    if (pthread_key_create(&key, no)) return;
    pthread_setspecific(key, &key);
    pthread_setspecific(key, 0);
    pthread_key_delete(key);
}
static void keys_c11(void) {
    tss_t key;
    if (tss_create(&key, no) != thrd_success) return;
    tss_set(key, &key);
    tss_set(key, 0);
    tss_delete(key);
}
static void value(void) { __cxa_thread_atexit_impl(no, &__dso_handle, &__dso_handle); }
static void thread(void) {
    pthread_t thread;
    if (!pthread_create(&thread, 0, end, 0)) pthread_join(thread, 0);
}
static void thread_c11(void) {
    thrd_t thread;
    if (thrd_create(&thread, end_c11, 0) == thrd_success) thrd_join(thread, 0);
}
static struct sigevent calls(void) {
    return (struct sigevent){.sigev_notify = SIGEV_THREAD, .sigev_notify_function = come};
}
/* There is no such clock: glibc takes no lock. */
static void timers(void) {
    timer_t timer;
    struct sigevent event = calls(), none = {.sigev_notify = SIGEV_NONE};
    timer_create(12345, &event, &timer);
    if (!timer_create(CLOCK_MONOTONIC, &none, &timer)) timer_delete(timer);
}
static void signals(void) {
    struct sigaction action = {.sa_handler = nothing}, former;
    sigaction(SIGUSR2, &action, &former);
    signal(SIGUSR2, nothing);
}
static void at_exit(void) { __cxa_atexit(no, 0, &__dso_handle); }
static void at_quick_exit_(void) { __cxa_at_quick_exit(no, &__dso_handle); }
static void on_exit_(void) { on_exit(exits, 0); }
static void at_fork(void) { __register_atfork(0, 0, 0, &__dso_handle); }
static int end_process(void *argument) { (void)argument; return 0; }
static void process(void) {
    static __thread char stack[16384] __attribute__((aligned(16)));
    pid_t child = clone(end_process, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, 0);
    if (child > 0) waitpid(child, 0, 0);
}
static void lookups(void) {
    dlsym(RTLD_DEFAULT, "pthread_key_create");
    dlvsym(RTLD_DEFAULT, "pthread_key_create", "GLIBC_2.34");
}
static void log_(void) { openlog("fixture", 0, LOG_USER); closelog(); }
static void stack(void) { sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, 0); }
/* None of these requests is one that glibc makes: it takes no lock. */
static void requests(void) {
    static __thread struct aiocb block;
    block.aio_sigevent = calls();
    block.aio_reqprio = -1;
    block.aio_fildes = -1;
    aio_read(&block);
    aio_write(&block);
    aio_fsync(O_SYNC, &block);
    struct aiocb *list[] = {&block, 0};
    struct sigevent event = calls();
    lio_listio(99, list, 2, &event);
}
static void names(void) {
    static __thread struct gaicb request;
    struct gaicb *list[] = {&request};
    struct sigevent event = calls();
    getaddrinfo_a(99, list, 1, &event);
}
static void queues(void) { struct sigevent event = calls(); mq_notify(-1, &event); }
static void dispatch(void) {
    static char allow;
    prctl(59, 1, 0, 0, &allow);
    prctl(59, 0, 0, 0, 0);
    char name[16];
    prctl(PR_GET_NAME, name);
}
static void whereabouts(void) {
    Dl_info info;
    void *more;
    dladdr(&__dso_handle, &info);
    dladdr1(&__dso_handle, &info, &more, RTLD_DL_LINKMAP);
    void *handle = dlopen(info.dli_fname, RTLD_NOW);
    char origin[4096];
    if (handle) dlinfo(handle, RTLD_DI_ORIGIN, origin);
    if (handle) dlclose(handle);
    dlopen("no-such-library.so", 0);
}
static int file = -1;
static void files(void) {
    void *mapped = mmap(0, 4096, PROT_READ, MAP_PRIVATE, file, 0);
    if (mapped != MAP_FAILED) munmap(mapped, 4096);
}
static void memory(void) { free(realloc(malloc(10), 2000)); }
static void sends(void) {
    static int data;
    union sigval value = { .sival_ptr = &data };
    /* By default it is ignored. */
    sigqueue(getpid(), SIGURG, value);
    pthread_sigqueue(pthread_self(), SIGURG, value);
}
static void result(void) { static struct aiocb block; aio_return(&block); }
static void all_locks(void) { keys(); value(); queues(); timers(); }

struct row { const char *names; void (*act)(void), (*meanwhile)(void); int in_handlers; };
static const struct row rows[] = {
    {"pthread_key_create pthread_setspecific pthread_key_delete", keys, keys},
    {"tss_create tss_set tss_delete", keys_c11, keys_c11},
    {"__cxa_thread_atexit_impl", value, value},
    {"pthread_create", thread, thread},
    {"thrd_create", thread_c11, thread_c11},
    {"timer_create timer_delete", timers, timers},
    {"sigaction signal", signals, signals, 1},
    {"__cxa_atexit", at_exit, keys},
    {"__cxa_at_quick_exit", at_quick_exit_, keys},
    {"on_exit", on_exit_, keys},
    {"__register_atfork", at_fork, keys},
    {"clone", process, process},
    {"dlsym dlvsym", lookups, lookups},
    {"openlog closelog", log_, keys},
    {"sigaltstack", stack, stack, 1},
    {"aio_read aio_write aio_fsync lio_listio", requests, requests},
    {"getaddrinfo_a", names, names},
    {"mq_notify", queues, queues},
    {"prctl", dispatch, dispatch},
    {"dladdr dladdr1 dlinfo dlopen", whereabouts, whereabouts},
    {"mmap munmap", files, files, 1},
    {"malloc realloc free", memory, memory},
    {"sigqueue pthread_sigqueue", sends, sends, 1},
    {"aio_return", result, keys, 1},
};
enum { COUNT = sizeof rows / sizeof *rows };

int count(void) { return COUNT; }
const char *names_of(int row) { return rows[row].names; }

static volatile int over;
static void *repeat(void *act) {
    while (!over) ((void (*)(void))act)();
    return 0;
}

/* 0, or how the child ended that did what the row says. */
int in_children(int row) {
    file = open("/proc/self/exe", O_RDONLY);
    pthread_t others[2];
    over = 0;
    pthread_create(&others[0], 0, repeat, rows[row].meanwhile);
    pthread_create(&others[1], 0, repeat, all_locks);
    int status = 0;
    for (int i = 0; i < 50 && !status; i++) {
        pid_t child = fork();
        if (!child) {
            alarm(120);
            for (int i = 0; i < 3; i++) rows[row].act();
            _exit(0);
        }
        if (child < 0 || waitpid(child, &status, 0) < 0) status = -1;
    }
    over = 1;
    for (int i = 0; i < 2; i++) pthread_join(others[i], 0);
    close(file);
    return status;
}

static volatile int handling, handled;
static void handle(int signal) {
    (void)signal;
    rows[handling].act();
    handled++;
}
static void *interrupt(void *thread) {
    for (int i = 0; i < 1000; i++) {
        int before = handled;
        pthread_kill(*(pthread_t *)thread, SIGUSR1);
        while (handled == before) sched_yield();
    }
    over = 1;
    return 0;
}

/* Ends the process if a handler hangs. */
int in_handlers(int row) {
    if (!rows[row].in_handlers) return 0;
    file = open("/proc/self/exe", O_RDONLY);
    alarm(240);
    handling = row;
    over = 0;
    signal(SIGUSR1, handle);
    pthread_t self = pthread_self(), other;
    pthread_create(&other, 0, interrupt, &self);
    while (!over) { all_locks(); files(); signals(); stack(); }
    pthread_join(other, 0);
    alarm(0);
    close(file);
    return 0;
}
"#;

fn rows(library: &Library) -> Vec<(i32, BTreeSet<String>)> {
    let names = function(library, "names_of");
    // SAFETY: it has this type.
    let names = unsafe {
        std::mem::transmute::<extern "C" fn() -> i32, extern "C" fn(c_int) -> *const c_char>(names)
    };
    let row = |row| {
        // SAFETY: it returns a text of the library.
        let text = unsafe { CStr::from_ptr(names(row)) };
        let text = text.to_str().expect("UTF-8");
        (row, text.split(' ').map(str::to_owned).collect())
    };
    (0..function(library, "count")()).map(row).collect()
}

fn act(library: &Library, name: &str, row: c_int) -> i32 {
    let act = function(library, name);
    // SAFETY: it has this type.
    let act =
        unsafe { std::mem::transmute::<extern "C" fn() -> i32, extern "C" fn(c_int) -> i32>(act) };
    act(row)
}

/// A child that is forked while other threads are in any stand-in can call each of them.
#[test]
fn children_can_do_what_their_parent_can() {
    in_own_process("any_moment::children_can_do_what_their_parent_can", || {
        let library = Fixture::c(FUNCTIONS, &[]).open();
        let rows = rows(&library);
        let known: BTreeSet<_> = rows.iter().flat_map(|(_, names)| names).collect();
        let all = stood_in_for();
        for (name, stand_in) in &all {
            // Some have two names.
            let mut same = all.iter().filter(|(_, other)| other == stand_in);
            assert!(
                same.any(|(name, _)| known.contains(&(*name).to_owned())),
                "no row calls {name}"
            );
        }
        for (row, names) in rows {
            let ended = act(&library, "in_children", row);
            assert_eq!(ended, 0, "{names:?} in a child");
        }
        std::mem::forget(library);
    });
}

/// A signal handler can call what POSIX or glibc lets it call, whatever its thread is doing.
#[test]
fn handlers_can_do_what_they_may() {
    in_own_process("any_moment::handlers_can_do_what_they_may", || {
        let library = Fixture::c(FUNCTIONS, &[]).open();
        for (row, _) in rows(&library) {
            assert_eq!(act(&library, "in_handlers", row), 0);
        }
        std::mem::forget(library);
    });
}
