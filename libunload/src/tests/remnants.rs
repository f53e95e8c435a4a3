//! What the host notes of a library, and what is left of it on the heap, looks like nobody's
//! address in it.

use std::ffi::CString;
use std::fs;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;

use super::fixture::{Fixture, call, in_own_process, unload};
use crate::outcome::UnloadOutcome;

/// Has the host note something of every kind, again and again, and forget most of it.
const BUSY: &str = r#"
    #include <pthread.h>
    #include <signal.h>
    #include <stdlib.h>
    #include <time.h>
    static void destroy(void *value) { (void)value; }
    static void handle(int signal) { (void)signal; }
    static void at_end(void) {}
    static void *turn(void *key) { pthread_setspecific(*(pthread_key_t *)key, key); return key; }
    static void due(union sigval value) { (void)value; }
    __attribute__((constructor)) static void start(void) { atexit(at_end); }
    __attribute__((destructor)) static void stop(void) {}
    static pthread_key_t keys[40];
    int run(void) {
        for (int i = 0; i < 40; i++) {
            pthread_t thread;
            struct sigevent event = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = due,
                                      .sigev_value.sival_ptr = keys };
            timer_t timer;
            if (pthread_key_create(&keys[i], destroy)
                || pthread_create(&thread, 0, turn, &keys[i]) || pthread_join(thread, 0)
                || timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_delete(timer))
                return 1;
        }
        for (int i = 0; i < 40; i++)
            if (pthread_key_delete(keys[i])) return 2;
        return signal(SIGUSR1, handle) == SIG_ERR || signal(SIGUSR1, SIG_DFL) == SIG_ERR;
    }
"#;

/// The heaps of the program and of this thread.
fn heaps() -> Vec<Range<usize>> {
    let of_this_thread = &raw const *Box::new(0_usize) as usize;
    let maps = fs::read_to_string("/proc/self/maps").expect("the mappings");
    let range = |line: &str| {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        let range = address(start)?..address(end)?;
        (line.contains("[heap]") || range.contains(&of_this_thread)).then_some(range)
    };
    maps.lines().filter_map(range).collect()
}

/// How many words there lead to where a file of this name is mapped.
fn words_leading_to(name: &str) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").expect("the mappings");
    let mut of_file = maps.lines().filter(|line| line.contains(name));
    let bound = |line: &str, which: usize| {
        let range = line.split(' ').next().expect("a range");
        let bound = range.split('-').nth(which).expect("a bound");
        usize::from_str_radix(bound, 16).expect("an address")
    };
    let first = of_file.next().expect("it is mapped");
    let last = of_file.next_back().expect("it has several parts");
    let library = bound(first, 0)..bound(last, 1);
    let words = heaps()
        .into_iter()
        .flat_map(|heap| heap.step_by(size_of::<usize>()));
    // SAFETY: these heaps are mapped, and their ends do not move downwards before this is done: it
    // frees little.
    let read = |place| unsafe { (place as *const usize).read_volatile() };
    words
        .filter(|&place| library.contains(&read(place)))
        .count()
}

/// As many as with bare `dlopen`, and these are the loader's: they do not get more, whatever the
/// library does, and how often it comes and goes.
#[test]
fn only_the_loader_has_addresses() {
    in_own_process("remnants::only_the_loader_has_addresses", || {
        let fixture = Fixture::c(BUSY, &["-D_GNU_SOURCE"]);
        let plain = fixture.directory().join("plain.so");
        fs::copy(&fixture.path, &plain).expect("a copy");
        let name = CString::new(plain.as_os_str().as_bytes()).expect("a path");
        // SAFETY: the fixture was built from the test's own source.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
        assert!(!handle.is_null());
        let of_loader = words_leading_to("plain.so");
        assert_ne!(of_loader, 0);
        for cycle in 0..3 {
            let library = fixture.open();
            assert!(words_leading_to("memfd:") <= of_loader, "opened, {cycle}");
            assert_eq!(call(&library, "run"), 0);
            assert!(words_leading_to("memfd:") <= of_loader, "used, {cycle}");
            assert_eq!(unload(library), UnloadOutcome::Unmapped);
        }
    });
}

/// What is left of a library that is gone leads to none that comes later.
#[test]
fn libraries_do_not_follow_each_other() {
    in_own_process("remnants::libraries_do_not_follow_each_other", || {
        let fixture = Fixture::c(BUSY, &["-D_GNU_SOURCE"]);
        let mut places = Vec::new();
        for _ in 0..10 {
            let library = fixture.open();
            places.push(super::fixture::function(&library, "run") as usize);
            assert_eq!(unload(library), UnloadOutcome::Unmapped);
        }
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 10);
    });
}
