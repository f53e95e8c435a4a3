//! What a decision of an LPM in a process of its own costs, next to the least that it can: a number
//! that goes to another process and back over shared memory and futexes; and next to the usual: a
//! line of JSON over a socket. All in one run, by turns. Then, all of it on one processor, what one
//! of many decisions costs that are asked for at once.
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
    use std::io::{BufRead, BufReader, Write};
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
    use std::os::unix::net::UnixStream;
    use std::process::{Child, Command};
    use std::ptr;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    use lpm_host::lpm_rsvp::{Message, ObjectIndex};
    use lpm_host::{CallMode, Isolation, LpmConfig, Outcome, Pcm, ReceivedMessage, trust_library};
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use rustix::io::{FdFlags, fcntl_setfd};
    use rustix::mm::{MapFlags, ProtFlags, mmap};
    use rustix::thread::futex::{Flags, wait, wake};
    use rustix::thread::{CpuSet, sched_setaffinity};
    use serde_json::{Value, json};

    use crate::asked::{path, received};

    const ROUNDS: usize = 21;
    const CALLS: u32 = 500;
    const AT_ONCE: u32 = 200;

    pub(super) fn main() {
        let arguments: Vec<_> = env::args().collect();
        if let [_, what, file] = &arguments[..] {
            let file = || file.parse::<RawFd>().expect("a number");
            match &**what {
                // SAFETY: whoever started this process left the file open for it.
                "pong" => return pong_for(unsafe { BorrowedFd::borrow_raw(file()) }),
                // SAFETY: the same, and it is nobody else's here.
                "json" => return decide_in_json(unsafe { OwnedFd::from_raw_fd(file()) }.into()),
                _ => {}
            }
        }
        let bytes = path();
        let mut index = ObjectIndex::new();
        let received = received(Message::parse(&bytes, &mut index).expect("a legal message"));
        println!("on all processors");
        one_at_a_time(&received);
        let mut first = CpuSet::new();
        first.set(0);
        // Threads and processes that are started from now on are there, too.
        sched_setaffinity(None, &first).expect("there is one");
        println!("on one processor");
        let latency = one_at_a_time(&received);
        let each = many_at_once(&received);
        println!("one of many at once       {each:9.0} ns");
        println!("one alone / one of many   {:9.2}", latency / each);
    }

    fn started(isolation: Isolation, call_mode: CallMode) -> Pcm {
        let library = lpm_fixtures::library("accepts");
        let lpm = LpmConfig::new("accepts", trust_library!(unsafe library)).isolation(isolation);
        let builder = Pcm::builder().lpm(lpm.call_mode(call_mode));
        let pcm = builder.build().expect("builds");
        pcm.become_dsbm().expect("starts");
        pcm
    }

    /// What a decision in a process of its own takes, in nanoseconds.
    fn one_at_a_time(received: &ReceivedMessage<'_>) -> f64 {
        let isolated = started(Isolation::Process, CallMode::Inline);
        let inline = started(Isolation::None, CallMode::Inline);
        let (ping, mut json) = (Ping::start(), Json::start());
        let admit = |pcm: &Pcm| {
            let verdict = pcm.admit(received).expect("in charge");
            assert_eq!(verdict.outcome(), Outcome::Accept);
        };
        let mut times: [Vec<f64>; 4] = Default::default();
        for _ in 0..ROUNDS {
            times[0].push(each(|| ping.pong()));
            times[1].push(each(|| admit(&isolated)));
            times[2].push(each(|| admit(&inline)));
            times[3].push(each(|| json.decide(received)));
        }
        let ratio = |of: &[f64], to: &[f64]| median(of.iter().zip(to).map(|(of, to)| of / to));
        let by_bare = ratio(&times[1], &times[0]);
        let by_json = ratio(&times[3], &times[1]);
        let [bare, isolated, inline, json] = times.map(median);
        println!("  bare ping-pong            {bare:9.0} ns");
        println!("  a decision in a process   {isolated:9.0} ns");
        println!("  a decision in this one    {inline:9.0} ns");
        println!("  a line of JSON            {json:9.0} ns");
        println!("  process / bare ping-pong  {by_bare:9.2}");
        println!("  JSON / process            {by_json:9.2}");
        isolated
    }

    /// What each of many decisions takes that are asked for before the first is waited for; not so
    /// many that the machine does something else meanwhile.
    fn many_at_once(received: &ReceivedMessage<'_>) -> f64 {
        let pcm = started(Isolation::Process, CallMode::worker());
        let mut times = Vec::new();
        let mut open = Vec::with_capacity(AT_ONCE as usize);
        for _ in 0..20 * ROUNDS {
            let began = Instant::now();
            open.extend((0..AT_ONCE).map(|_| pcm.admit_later(received).expect("in charge")));
            // The last one first: the caller is woken once.
            for admission in open.drain(..).rev() {
                assert_eq!(admission.wait().outcome(), Outcome::Accept);
            }
            times.push(nanoseconds(began));
        }
        median(times)
    }

    /// Nanoseconds: the median of calls, each of which is timed, so that those during which the
    /// machine did something else count for little.
    fn each(mut call: impl FnMut()) -> f64 {
        let timed = (0..CALLS).map(|_| {
            let began = Instant::now();
            call();
            began.elapsed().as_secs_f64() * 1e9
        });
        median(timed)
    }

    fn nanoseconds(began: Instant) -> f64 {
        began.elapsed().as_secs_f64() * 1e9 / f64::from(AT_ONCE)
    }

    fn median(times: impl IntoIterator<Item = f64>) -> f64 {
        let mut times: Vec<_> = times.into_iter().collect();
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

    /// A child that is asked in lines of JSON over a socket, as plugins in other languages are.
    struct Json(BufReader<UnixStream>, String, Child);

    impl Json {
        fn start() -> Self {
            let (ours, theirs) = UnixStream::pair().expect("sockets");
            fcntl_setfd(&theirs, FdFlags::empty()).expect("it is open");
            let program = env::current_exe().expect("this program");
            let child = Command::new(program)
                .args(["json", &theirs.as_raw_fd().to_string()])
                .spawn();
            Self(
                BufReader::new(ours),
                String::new(),
                child.expect("it starts"),
            )
        }

        fn decide(&mut self, received: &ReceivedMessage<'_>) {
            let digits = |byte: u8| {
                [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)])
            };
            let message = received
                .message
                .bytes()
                .iter()
                .flat_map(|byte| digits(*byte));
            let message: String = message.map(char::from).collect();
            let interface = &received.interface;
            let asked = json!({
                "method": "admit",
                "interface": { "index": interface.index, "address": interface.address },
                "integrity_verified": received.integrity_verified,
                "message": message,
            });
            let line = format!("{asked}\n");
            let written = self.0.get_mut().write_all(line.as_bytes());
            written.expect("it listens");
            self.1.clear();
            self.0.read_line(&mut self.1).expect("it answers");
            let answer: Value = serde_json::from_str(&self.1).expect("an answer");
            assert_eq!(answer["decisions"][0]["lpv"], 1);
        }
    }

    impl Drop for Json {
        fn drop(&mut self) {
            let _ = self.0.get_ref().shutdown(std::net::Shutdown::Both);
            let _ = self.2.wait();
        }
    }

    fn decide_in_json(socket: UnixStream) {
        let mut to = socket.try_clone().expect("a socket");
        for line in BufReader::new(socket).lines() {
            let Ok(line) = line else { return };
            let asked: Value = serde_json::from_str(&line).expect("a request");
            let digits = asked["message"].as_str().expect("a message");
            let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("digits");
            let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
            let mut index = ObjectIndex::new();
            let message = Message::parse(&bytes, &mut index).expect("a legal message");
            let flows = message.counted_flows().unwrap_or_default();
            let decision = json!({ "lpv": 1, "error_code": 0, "error_value": 0 });
            let decisions = vec![decision; flows as usize];
            let line = format!("{}\n", json!({ "decisions": decisions }));
            if to.write_all(line.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn words(file: BorrowedFd<'_>) -> &'static [AtomicU32; 2] {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a mapping where the kernel finds room takes nothing away from anybody.
        let start = unsafe { mmap(ptr::null_mut(), 4096, access, MapFlags::SHARED, file, 0) };
        let start = start.expect("it is mapped");
        // SAFETY: it is page-aligned, longer than that, and stays mapped; any bytes are such
        // atomics.
        unsafe { &*start.cast() }
    }
}
