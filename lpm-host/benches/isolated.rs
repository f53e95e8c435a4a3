//! What a decision of an LPM in a process of its own costs, next to the least that it can: a
//! number that goes to another process and back over shared memory and futexes, with sides that
//! sleep at once, and with sides that watch for a moment before; and next to the usual: a line of
//! JSON over a socket. All in one run, by turns: on two processors, one for each side, where there
//! are two, and on one. There, too, what one of many decisions costs that are asked for at once.
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
    use std::fs;
    use std::hint;
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
    use rustix::process::Pid;
    use rustix::thread::futex::{Flags, wait, wake};
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
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
                "pong" => return pong_for(unsafe { BorrowedFd::borrow_raw(file()) }, 0),
                "pong-watches" => {
                    // SAFETY: the same.
                    let file = unsafe { BorrowedFd::borrow_raw(file()) };
                    return pong_for(file, LOOKS);
                }
                // SAFETY: the same, and it is nobody else's here.
                "json" => return decide_in_json(unsafe { OwnedFd::from_raw_fd(file()) }.into()),
                _ => {}
            }
        }
        let bytes = path();
        let mut index = ObjectIndex::new();
        let received = received(Message::parse(&bytes, &mut index).expect("a legal message"));
        let all = sched_getaffinity(None).expect("there are some");
        let mut all = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu));
        let (here, there) = (all.next().expect("there is one"), all.next());
        match arguments.get(1).map(String::as_str) {
            Some("apart") => {
                if let Some(there) = there {
                    println!("on two processors, one for each side");
                    one_at_a_time(&received, Some((here, there)));
                }
            }
            Some("together") => {
                put(None, here);
                println!("on one processor");
                let latency = one_at_a_time(&received, None);
                let each = many_at_once(&received, 20 * ROUNDS);
                println!("one of many at once       {each:9.0} ns");
                println!("one alone / one of many   {:9.2}", latency / each);
            }
            // To count the instructions of both processes, with one number of rounds and another.
            Some("many") => {
                let rounds = arguments.get(2).and_then(|rounds| rounds.parse().ok());
                let each = many_at_once(&received, rounds.expect("how many rounds"));
                println!("one of many at once       {each:9.0} ns");
            }
            // Each in a process that has no threads yet, which would stay where they are.
            _ => {
                for what in ["apart", "together"] {
                    let program = env::current_exe().expect("this program");
                    let ran = Command::new(program).arg(what).status();
                    assert!(ran.expect("it starts").success());
                }
            }
        }
    }

    /// Has a thread, or this one, run on this processor only.
    fn put(thread: Option<Pid>, processor: usize) {
        let mut one = CpuSet::new();
        one.set(processor);
        sched_setaffinity(thread, &one).expect("it is there");
    }

    /// The same for all threads of a process.
    fn put_process(process: u32, processor: usize) {
        let threads = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
        for thread in threads.flatten() {
            let thread = thread.file_name().into_string().expect("a number");
            put(Pid::from_raw(thread.parse().expect("a number")), processor);
        }
    }

    fn started(isolation: Isolation, call_mode: CallMode) -> Pcm {
        let library = lpm_fixtures::library("accepts");
        let lpm = LpmConfig::new("accepts", trust_library!(unsafe library)).isolation(isolation);
        let builder = Pcm::builder().lpm(lpm.call_mode(call_mode));
        // By name, so that it runs under a tool that counts, too.
        let program = env::current_exe().expect("this program");
        let pcm = builder.runner(program).build().expect("builds");
        pcm.become_dsbm().expect("starts");
        pcm
    }

    /// What a decision in a process of its own takes, in nanoseconds.
    fn one_at_a_time(received: &ReceivedMessage<'_>, apart: Option<(usize, usize)>) -> f64 {
        let isolated = started(Isolation::Process, CallMode::Inline);
        let inline = started(Isolation::None, CallMode::Inline);
        let (ping, watching, mut json) = (Ping::start(0), Ping::start(LOOKS), Json::start());
        if let Some((here, there)) = apart {
            let mut lpms = isolated.status().lpms;
            let lpm = lpms.remove(0).initialized.and_then(|lpm| lpm.process);
            put(None, here);
            for process in [
                ping.1.id(),
                watching.1.id(),
                json.2.id(),
                lpm.expect("it runs"),
            ] {
                put_process(process, there);
            }
        }
        let admit = |pcm: &Pcm| {
            let verdict = pcm.admit(received).expect("in charge");
            assert_eq!(verdict.outcome(), Outcome::Accept);
        };
        let mut times: [Vec<f64>; 5] = Default::default();
        for _ in 0..ROUNDS {
            times[0].push(each(|| ping.pong()));
            times[1].push(each(|| admit(&isolated)));
            times[2].push(each(|| admit(&inline)));
            times[3].push(each(|| json.decide(received)));
            if apart.is_some() {
                times[4].push(each(|| watching.pong()));
            }
        }
        let ratio = |of: &[f64], to: &[f64]| median(of.iter().zip(to).map(|(of, to)| of / to));
        let by_bare = ratio(&times[1], &times[0]);
        let by_json = ratio(&times[3], &times[1]);
        if apart.is_some() {
            let by_watching = ratio(&times[1], &times[4]);
            let watching = median(times[4].iter().copied());
            println!("  ping-pong that watches    {watching:9.0} ns");
            println!("  process / one that watches{by_watching:9.2}");
        }
        let [bare, isolated, inline, json, _] = times.map(|times| match times.is_empty() {
            true => 0.0,
            false => median(times),
        });
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
    fn many_at_once(received: &ReceivedMessage<'_>, rounds: usize) -> f64 {
        let pcm = started(Isolation::Process, CallMode::worker());
        let mut times = Vec::new();
        let mut open = Vec::with_capacity(AT_ONCE as usize);
        for _ in 0..rounds {
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

    /// How often each side looks before it sleeps: for some ten microseconds.
    const LOOKS: u32 = 300;

    /// Numbers that go to another process and back: two of them, and two flags that say who sleeps.
    struct Ping(&'static [AtomicU32; 4], Child, u32);

    impl Ping {
        fn start(looks: u32) -> Self {
            let file = memfd_create("ping", MemfdFlags::empty()).expect("memory");
            ftruncate(&file, 4096).expect("room");
            let program = env::current_exe().expect("this program");
            let what = if looks == 0 { "pong" } else { "pong-watches" };
            let pong = Command::new(program)
                .args([what, &file.as_raw_fd().to_string()])
                .spawn();
            Self(words(file.as_fd()), pong.expect("it starts"), looks)
        }

        fn pong(&self) {
            let [ping, pong, pinged, ponged] = self.0;
            let last = ping.load(Ordering::Relaxed);
            set(ping, last + 1, pinged, self.2);
            await_other(pong, last, ponged, self.2);
        }
    }

    impl Drop for Ping {
        fn drop(&mut self) {
            self.0[0].store(u32::MAX, Ordering::SeqCst);
            let _ = wake(&self.0[0], Flags::empty(), 1);
            let _ = self.1.wait();
        }
    }

    fn pong_for(file: BorrowedFd<'_>, looks: u32) {
        let [ping, pong, pinged, ponged] = words(file);
        let mut last = 0;
        loop {
            match await_other(ping, last, pinged, looks) {
                u32::MAX => return,
                next => {
                    last = next;
                    set(pong, next, ponged, looks);
                }
            }
        }
    }

    /// Sets a number, and wakes who sleeps on it; where nobody watches, without asking whether
    /// somebody does.
    fn set(word: &AtomicU32, number: u32, sleeps: &AtomicU32, looks: u32) {
        word.store(number, Ordering::SeqCst);
        if looks == 0 || sleeps.load(Ordering::SeqCst) != 0 {
            let _ = wake(word, Flags::empty(), 1);
        }
    }

    /// Waits for another number than the last.
    fn await_other(word: &AtomicU32, last: u32, sleeps: &AtomicU32, looks: u32) -> u32 {
        for _ in 0..looks {
            let number = word.load(Ordering::Acquire);
            if number != last {
                return number;
            }
            hint::spin_loop();
        }
        sleeps.store(1, Ordering::SeqCst);
        let number = loop {
            let number = word.load(Ordering::SeqCst);
            if number != last {
                break number;
            }
            let _ = wait(word, Flags::empty(), last, None);
        };
        sleeps.store(0, Ordering::SeqCst);
        number
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

    fn words(file: BorrowedFd<'_>) -> &'static [AtomicU32; 4] {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a mapping where the kernel finds room takes nothing away from anybody.
        let start = unsafe { mmap(ptr::null_mut(), 4096, access, MapFlags::SHARED, file, 0) };
        let start = start.expect("it is mapped");
        // SAFETY: it is page-aligned, longer than that, and stays mapped; any bytes are such
        // atomics.
        unsafe { &*start.cast() }
    }
}
