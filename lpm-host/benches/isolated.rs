//! What a decision of an LPM in a process of its own costs, next to the least that it can: a number that goes to another
//! process and back over shared memory and futexes. Both in one run, by turns.
#![allow(
    unsafe_code,
    reason = "memory that is shared with another process, for the comparison"
)]

#[cfg(target_os = "linux")]
#[allow(dead_code)]
mod asked;

#[cfg(target_os = "linux")]
fn main() {
    lpm_host::isolated::run_if_asked();
    linux::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use std::env;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
    use std::process::{Child, Command};
    use std::ptr;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    use lpm_host::lpm_rsvp::{Message, ObjectIndex};
    use lpm_host::{Isolation, LpmConfig, Outcome, Pcm, trust_library};
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use rustix::mm::{MapFlags, ProtFlags, mmap};
    use rustix::thread::futex::{Flags, wait, wake};

    use crate::asked::{path, received};

    const ROUNDS: usize = 31;
    const CALLS: u32 = 2_000;

    pub(super) fn main() {
        let arguments: Vec<_> = env::args().collect();
        if let [_, pong, file] = &arguments[..] {
            if pong == "pong" {
                let file = file.parse().expect("a number");
                // SAFETY: whoever started this process left the file open for it.
                return pong_for(unsafe { BorrowedFd::borrow_raw(file) });
            }
        }
        let library = lpm_fixtures::library("accepts");
        let library = trust_library!(unsafe library);
        let pcm = |isolation| {
            let lpm = LpmConfig::new("accepts", library.clone()).isolation(isolation);
            let pcm = Pcm::builder().lpm(lpm).build().expect("builds");
            pcm.become_dsbm().expect("starts");
            pcm
        };
        let (isolated, inline) = (pcm(Isolation::Process), pcm(Isolation::None));
        let ping = Ping::start();
        let bytes = path();
        let mut index = ObjectIndex::new();
        let received = received(Message::parse(&bytes, &mut index).expect("a legal message"));
        let admit = |pcm: &Pcm| {
            let verdict = pcm.admit(&received).expect("in charge");
            assert_eq!(verdict.outcome(), Outcome::Accept);
        };
        let mut times: [Vec<f64>; 3] = Default::default();
        for _ in 0..ROUNDS {
            times[0].push(each(|| ping.pong()));
            times[1].push(each(|| admit(&isolated)));
            times[2].push(each(|| admit(&inline)));
        }
        let [bare, isolated, inline] = times.map(median);
        println!("bare ping-pong            {bare:9.0} ns");
        println!("a decision in a process   {isolated:9.0} ns");
        println!("a decision in this one    {inline:9.0} ns");
        println!("process / bare ping-pong  {:9.2}", isolated / bare);
    }

    /// Nanoseconds.
    fn each(mut call: impl FnMut()) -> f64 {
        let began = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        began.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    }

    fn median(mut times: Vec<f64>) -> f64 {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }

    struct Ping(&'static [AtomicU32; 2], Child);

    impl Ping {
        fn start() -> Self {
            let file = memfd_create("ping", MemfdFlags::empty()).expect("memory");
            ftruncate(&file, 4096).expect("room");
            let program = env::current_exe().expect("this program");
            let pong = Command::new(program)
                .args(["pong", &file.as_raw_fd().to_string()])
                .spawn();
            Self(words(file.as_fd()), pong.expect("it starts"))
        }

        fn pong(&self) {
            let [ping, pong] = self.0;
            let next = ping.load(Ordering::Relaxed) + 1;
            ping.store(next, Ordering::Release);
            let _ = wake(ping, Flags::empty(), 1);
            while pong.load(Ordering::Acquire) != next {
                let _ = wait(pong, Flags::empty(), next - 1, None);
            }
        }
    }

    impl Drop for Ping {
        fn drop(&mut self) {
            self.0[0].store(u32::MAX, Ordering::Release);
            let _ = wake(&self.0[0], Flags::empty(), 1);
            let _ = self.1.wait();
        }
    }

    fn pong_for(file: BorrowedFd<'_>) {
        let [ping, pong] = words(file);
        let mut last = 0;
        loop {
            match ping.load(Ordering::Acquire) {
                u32::MAX => return,
                next if next == last => {
                    let _ = wait(ping, Flags::empty(), last, None);
                }
                next => {
                    last = next;
                    pong.store(next, Ordering::Release);
                    let _ = wake(pong, Flags::empty(), 1);
                }
            }
        }
    }

    fn words(file: BorrowedFd<'_>) -> &'static [AtomicU32; 2] {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a mapping where the kernel finds room takes nothing away from anybody.
        let start = unsafe { mmap(ptr::null_mut(), 4096, access, MapFlags::SHARED, file, 0) };
        let start = start.expect("it is mapped");
        // SAFETY: it is page-aligned, longer than that, and stays mapped; any bytes are such atomics.
        unsafe { &*start.cast() }
    }
}
