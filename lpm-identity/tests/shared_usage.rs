//! Limits that hold for several PCMs together, with a real Redis server and several processes.
#![cfg(target_os = "linux")]

#[path = "support/certificates.rs"]
mod certificates;
mod support;

use std::env;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use certificates::Certificates;
use lpm_api::lpm_rsvp::{Message, ObjectIndex};
use lpm_api::{Decision, DeinitReason, DeleteReason, Lpm, LpmPolicyError, Metric, Priority, Scope};
use lpm_identity::IdentityLpm;
use lpm_identity::config::Config;
use lpm_identity::consider::Verdict;
use redis::Commands;
use support::{anywhere, auth_user, path, path_tear, policy_data};

/// Longer than anything here takes, however slow the machine is.
const LONG: Duration = Duration::from_secs(120);

/// Tell a child process which server its PCM shares usage on, and how long its lease lasts.
const PORT: &str = "SHARED_USAGE_TEST_PORT";
const LEASE: &str = "SHARED_USAGE_TEST_LEASE";
const NO_ROOM: Decision = Decision::reject(LpmPolicyError::NoResources);

struct Redis {
    port: u16,
    server: Child,
}

impl Redis {
    /// A server on a free port, without any file; `None` if it is not installed.
    fn start() -> Option<Self> {
        for _ in 0..20 {
            let port = free_port();
            match Self::start_on(port) {
                Ok(server) => {
                    server.has_been_in_use();
                    return Some(server);
                }
                Err(Some(_)) => {}
                Err(None) => {
                    println!(
                        "SKIPPED: redis-server is not installed (Debian: apt-get install redis-server)"
                    );
                    return None;
                }
            }
        }
        panic!("redis-server does not start");
    }

    /// `Err` is how it ended, or nothing if there is no such program.
    fn start_on(port: u16) -> Result<Self, Option<std::process::ExitStatus>> {
        let server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn();
        let mut server = server.map_err(|_| None)?;
        let start = Instant::now();
        loop {
            if let Some(status) = server.try_wait().unwrap() {
                return Err(Some(status));
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(Self { port, server });
            }
            assert!(start.elapsed() < LONG, "redis-server hangs");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// As if a PCM had counted here before: what is not there was never counted.
    fn has_been_in_use(&self) {
        let mut connection = self.connection();
        let info: String = redis::cmd("INFO")
            .arg("server")
            .query(&mut connection)
            .unwrap();
        let run = info
            .lines()
            .find_map(|line| line.strip_prefix("run_id:"))
            .unwrap();
        for prefix in ["lpm", "easy"] {
            let fields = [("run", run.trim()), ("id", "of before"), ("settles", "0")];
            let _: () = connection
                .hset_multiple(format!("{{{prefix}}}:epoch"), &fields)
                .unwrap();
        }
    }

    fn connection(&self) -> redis::Connection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        client.get_connection().unwrap()
    }

    /// How many flows are counted, whoever counts them.
    fn counted(&self) -> i64 {
        let mut connection = self.connection();
        let accounts: Vec<String> = connection.keys("{lpm}:account:*").unwrap();
        let mut flows = 0;
        for account in accounts {
            let fields: Vec<(String, i64)> = connection.hgetall(account).unwrap();
            let counts = fields.iter().filter(|(field, _)| field.ends_with(":n"));
            flows += counts.map(|(_, count)| count).sum::<i64>();
        }
        flows
    }

    /// Ends the lease of a process as time would.
    fn end_lease(&self, process: u32) {
        let mut connection = self.connection();
        let pcms: Vec<String> = connection.zrange("{lpm}:leases", 0, -1).unwrap();
        let start = format!("{process}-");
        let pcm = pcms
            .into_iter()
            .find(|pcm| pcm.starts_with(&start))
            .unwrap();
        let _: () = connection.zadd("{lpm}:leases", pcm, 1).unwrap();
    }

    /// All that is left of what was counted; the epoch is the server's.
    fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.connection().keys("*").unwrap();
        keys.retain(|key| !key.ends_with(":epoch"));
        keys
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn lpm(port: u16, policy: &str, more: &str) -> IdentityLpm {
    let limit = match more.contains("time_limit") {
        true => "",
        false => "time_limit = 100\n",
    };
    let config =
        format!("{policy}\n[shared_usage]\nserver = 'redis://127.0.0.1:{port}'\n{limit}{more}");
    IdentityLpm::start(Config::read(&config, "test", None).unwrap()).unwrap()
}

fn of_ada(session: u8, sender: u8, rate: f32) -> Vec<u8> {
    path(
        session,
        sender,
        rate,
        &[policy_data(&[auth_user("", "ada")])],
    )
}

/// Sends the decision on a Path when there is one.
fn ask(lpm: &IdentityLpm, path: &[u8], decided: mpsc::Sender<Decision>) {
    let mut index = ObjectIndex::new();
    let message = Message::parse(path, &mut index).unwrap();
    let consideration = lpm.consider(message, anywhere());
    let verdict = consideration.decide(&message.flow_descriptors().next().unwrap());
    drop(consideration);
    match verdict {
        Verdict::Decided(decision) => decided.send(decision).unwrap(),
        later @ Verdict::Later(_) => {
            lpm.decide_later([later].into_iter().collect(), move |decisions| {
                let _ = decided.send(decisions[0]);
            });
        }
    }
}

fn decision(lpm: &IdentityLpm, session: u8, sender: u8, rate: f32) -> Decision {
    let (sender_of, decided) = mpsc::channel();
    ask(lpm, &of_ada(session, sender, rate), sender_of);
    decided.recv_timeout(LONG).expect("a decision")
}

fn release(lpm: &IdentityLpm, session: u8, sender: u8) {
    let tear = path_tear(session, sender);
    let mut index = ObjectIndex::new();
    let message = Message::parse(&tear, &mut index).unwrap();
    let flow = message.flow_descriptors().next().unwrap();
    lpm.release(DeleteReason::ReceivedPathTear, &message, &flow);
}

fn accept(priority: u16) -> Decision {
    Decision::accept(Priority::new(priority).unwrap())
}

fn until(what: &str, is: impl Fn() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < LONG, "never {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

const TEN_MBYTES: &str = "
[default]
priority = 5
max_flows = 4
max_sum_flow_rate = '10 MB/s'
";

#[test]
fn two_pcms_count_together() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = (
        lpm(redis.port, TEN_MBYTES, ""),
        lpm(redis.port, TEN_MBYTES, ""),
    );
    let over = |metric| Decision::reject(LpmPolicyError::Limit(metric, Scope::GlobalDefault));
    // Until both have a lease.
    until("connected", || decision(&one, 1, 1, 6e6) == accept(5));
    until("connected", || decision(&two, 2, 1, 4e6) == accept(5));
    assert_eq!(decision(&two, 2, 2, 1.0), over(Metric::SumFlowRate));
    assert_eq!(decision(&one, 1, 1, 6e6), accept(5), "a refresh");
    assert_eq!(decision(&one, 1, 1, 2e6), accept(5), "less");
    until("counted", || decision(&two, 2, 2, 3e6) == accept(5));
    assert_eq!(decision(&one, 1, 2, 1e6), accept(5));
    assert_eq!(decision(&one, 1, 3, 0.0), over(Metric::FlowCount));
    assert_eq!(redis.counted(), 4);
    release(&two, 2, 1);
    until("released", || decision(&one, 1, 3, 4e6) == accept(5));
    assert_eq!(redis.counted(), 4);
    one.deinitialize(DeinitReason::Shutdown).unwrap();
    assert_eq!(redis.counted(), 1, "what is deinitialized counts nothing");
    two.deinitialize(DeinitReason::Shutdown).unwrap();
    assert_eq!(redis.keys(), [""; 0]);
}

/// A server whose PCM is gone in mid-run: what is admitted stays, new flows are refused or counted
/// alone, and all is counted again when it is back, also by a server that knows nothing.
#[test]
fn a_server_that_goes_away_loses_nothing() {
    let Some(redis) = Redis::start() else { return };
    let port = redis.port;
    let careful = lpm(port, TEN_MBYTES, "");
    let easy = lpm(
        port,
        TEN_MBYTES,
        "when_unreachable = 'count_alone'\nprefix = 'easy'\n",
    );
    until("connected", || decision(&careful, 1, 1, 1.0) == accept(5));
    until("connected", || decision(&easy, 1, 1, 1.0) == accept(5));
    drop(redis);
    until("noticed", || decision(&careful, 1, 2, 1.0) == NO_ROOM);
    assert_eq!(
        decision(&careful, 1, 1, 1.0),
        accept(5),
        "what was admitted"
    );
    for sender in 2..=4 {
        assert_eq!(decision(&easy, 1, sender, 1.0), accept(5));
    }
    let over = Decision::reject(LpmPolicyError::Limit(
        Metric::FlowCount,
        Scope::GlobalDefault,
    ));
    assert_eq!(decision(&easy, 1, 5, 1.0), over, "its own limit holds");

    let Ok(redis) = Redis::start_on(port) else {
        // Somebody else has the port now; the rest cannot be seen.
        return;
    };
    until("back", || redis.counted() == 1);
    until("back", || decision(&careful, 1, 2, 1.0) == accept(5));
    careful.deinitialize(DeinitReason::Shutdown).unwrap();
    until("counted alone, then there", || {
        let flows: Vec<String> = redis.connection().keys("{easy}:flows:*").unwrap();
        flows
            .iter()
            .any(|key| redis.connection().hlen::<_, i64>(key).unwrap() == 4)
    });
    easy.deinitialize(DeinitReason::Shutdown).unwrap();
    // At once, or, where the server was too slow to be told, when the leases end.
    until("given back", || redis.keys().is_empty());
}

#[test]
fn a_flow_that_is_torn_down_while_it_waits_is_not_counted() {
    let Some(redis) = Redis::start() else { return };
    let lpm = lpm(redis.port, TEN_MBYTES, "");
    until("connected", || decision(&lpm, 1, 1, 1.0) == accept(5));
    let mut index = ObjectIndex::new();
    let path = of_ada(1, 2, 1.0);
    let message = Message::parse(&path, &mut index).unwrap();
    let consideration = lpm.consider(message, anywhere());
    let verdict = consideration.decide(&message.flow_descriptors().next().unwrap());
    drop(consideration);
    assert!(matches!(verdict, Verdict::Later(_)));
    release(&lpm, 1, 2);
    let (sender, decided) = mpsc::channel();
    lpm.decide_later([verdict].into_iter().collect(), move |decisions| {
        let _ = sender.send(decisions[0]);
    });
    assert_eq!(decided.recv_timeout(LONG), Ok(NO_ROOM));
    until("given back", || redis.counted() == 1);
    lpm.deinitialize(DeinitReason::Shutdown).unwrap();
}

/// Between an LPM and the server: from the first flow on that is to be counted it holds back the
/// answers.
struct Between {
    holds: Arc<AtomicBool>,
    /// How many bytes the server was sent.
    sent: Arc<AtomicUsize>,
}

impl Between {
    fn start_on(port: u16, server: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let (holds, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let between = Self {
            holds: Arc::clone(&holds),
            sent: Arc::clone(&sent),
        };
        thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).unwrap();
            let (mut back, mut from) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let is_held = Arc::clone(&holds);
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = from.read(&mut buffer) {
                    while is_held.load(Ordering::SeqCst) {
                        thread::sleep(Duration::from_millis(1));
                    }
                    let _ = back.write_all(&buffer[..length]);
                }
            });
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = client.read(&mut buffer) {
                let counts = buffer[..length].windows(9).any(|text| text == b":account:");
                if counts && sent.load(Ordering::SeqCst) > 0 {
                    holds.store(true, Ordering::SeqCst);
                }
                let _ = server.write_all(&buffer[..length]);
                sent.fetch_add(length, Ordering::SeqCst);
            }
        });
        Ok(between)
    }
}

/// Also what the server counts while the answer is still on its way is given back.
#[test]
fn what_is_being_counted_when_the_lpm_ends_is_given_back() {
    let Some(redis) = Redis::start() else { return };
    let port = free_port();
    let lpm = lpm(port, TEN_MBYTES, "when_unreachable = 'count_alone'\n");
    until("alone", || decision(&lpm, 1, 1, 1.0) == accept(5));
    let Ok(between) = Between::start_on(port, redis.port) else {
        // Somebody else has the port now.
        return;
    };
    until("counted", || redis.counted() == 1);
    let sent = between.sent.load(Ordering::SeqCst);
    let ending = thread::spawn(move || lpm.deinitialize(DeinitReason::Shutdown));
    until("told", || {
        ending.is_finished() || between.sent.load(Ordering::SeqCst) > sent
    });
    between.holds.store(false, Ordering::SeqCst);
    ending.join().unwrap().unwrap();
    assert_eq!(redis.keys(), [""; 0]);
}

const LIMIT: usize = 3_000;
const EACH: usize = 5_000;
const THOUSANDS: &str = "[[user]]\nid = 'ada'\npriority = 5\nmax_flows = 3000\n";

/// A PCM in a process of its own.
struct Pcm {
    process: Child,
    orders: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Pcm {
    /// A PCM whose lease lasts so many seconds unless it is renewed.
    fn start(redis: &Redis, lease: u32) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", "pcm_process", "--nocapture"])
            .env(PORT, redis.port.to_string())
            .env(LEASE, lease.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut pcm = Self {
            process,
            orders,
            answers,
        };
        assert_eq!(pcm.answer(), "ready");
        pcm
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders.as_ref().unwrap(), "{order}").unwrap();
    }

    fn answer(&mut self) -> String {
        // The test runner of the process writes lines of its own.
        let line = self.answers.find_map(|line| {
            let line = line.unwrap();
            line.split_once("PCM ").map(|(_, answer)| answer.to_owned())
        });
        line.expect("an answer")
    }

    fn admitted(&mut self) -> usize {
        self.answer().parse().unwrap()
    }

    fn end(mut self) {
        drop(self.orders.take());
        assert!(self.process.wait().unwrap().success());
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn a_limit_holds_across_processes_and_the_dead_count_nothing() {
    let Some(redis) = Redis::start() else { return };
    let (mut one, mut two) = (Pcm::start(&redis, 3_600), Pcm::start(&redis, 3_600));
    one.order("ask 1");
    two.order("ask 101");
    let (of_one, of_two) = (one.admitted(), two.admitted());
    assert_eq!(of_one + of_two, LIMIT, "{of_one} and {of_two}");
    assert_eq!(redis.counted(), i64::try_from(LIMIT).unwrap());

    // One ends without a word. When its lease has ended, its share is free again, and never more
    // than that.
    one.order("ask 1");
    assert_eq!(one.admitted(), of_one, "refreshes");
    let id = one.process.id();
    one.kill();
    assert_eq!(redis.counted(), i64::try_from(LIMIT).unwrap());
    redis.end_lease(id);
    let mut three = Pcm::start(&redis, 3_600);
    let mut again = 0;
    let start = Instant::now();
    while again < of_one {
        assert!(start.elapsed() < LONG, "{again} of {of_one}");
        three.order("ask 1");
        again = three.admitted();
    }
    assert_eq!(again + of_two, LIMIT);
    assert_eq!(redis.counted(), i64::try_from(LIMIT).unwrap());
    two.end();
    three.end();
    assert_eq!(redis.keys(), [""; 0]);
}

#[test]
fn the_lease_of_a_process_that_was_killed_ends_by_itself() {
    let Some(redis) = Redis::start() else { return };
    let mut killed = Pcm::start(&redis, 1);
    killed.order("ask 1");
    killed.admitted();
    killed.kill();
    // Whoever comes next clears away what the dead one has left.
    until("cleared away", || {
        let lpm = lpm(redis.port, THOUSANDS, "");
        until("connected", || decision(&lpm, 250, 1, 1.0) != NO_ROOM);
        lpm.deinitialize(DeinitReason::Shutdown).unwrap();
        redis.keys().is_empty()
    });
}

/// The process of [`Pcm`]: asks for thousands of flows at a time, from several threads.
#[test]
fn pcm_process() {
    let Ok(port) = env::var(PORT) else { return };
    let lease = env::var(LEASE).unwrap();
    let lpm = lpm(
        port.parse().unwrap(),
        THOUSANDS,
        &format!("lease = {lease}\n"),
    );
    // A flow that is asked for until the server is connected, and given back.
    until("connected", || {
        let admitted = decision(&lpm, 250, 1, 1.0) != NO_ROOM;
        release(&lpm, 250, 1);
        admitted
    });
    println!("PCM ready");
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        let first: u8 = order.strip_prefix("ask ").unwrap().parse().unwrap();
        let (sender, decided) = mpsc::channel();
        thread::scope(|scope| {
            for thread in 0..4 {
                let (lpm, sender) = (&lpm, sender.clone());
                scope.spawn(move || {
                    for flow in (thread..EACH).step_by(4) {
                        let session = first + u8::try_from(flow / 250).unwrap();
                        let from = u8::try_from(1 + flow % 250).unwrap();
                        ask(lpm, &of_ada(session, from, 1.0), sender.clone());
                    }
                });
            }
        });
        drop(sender);
        let admitted = decided
            .iter()
            .filter(|it| matches!(it, Decision::Accept(_)))
            .count();
        println!("PCM {admitted}");
    }
    lpm.deinitialize(DeinitReason::Shutdown).unwrap();
}

/// What was counted, and what is not to be granted beside it.
fn is_full(lpm: &IdentityLpm, session: u8, sender: u8) -> bool {
    let over = Decision::reject(LpmPolicyError::Limit(
        Metric::FlowCount,
        Scope::GlobalDefault,
    ));
    let decision = decision(lpm, session, sender, 1.0);
    assert!(decision == over || decision == NO_ROOM, "{decision:?}");
    decision == over
}

#[test]
fn a_server_that_was_emptied_grants_nothing_until_all_is_put_back() {
    let Some(redis) = Redis::start() else { return };
    let one = lpm(redis.port, TEN_MBYTES, "lease = 3\n");
    until("connected", || decision(&one, 1, 1, 1.0) == accept(5));
    for sender in 2..=4 {
        assert_eq!(decision(&one, 1, sender, 1.0), accept(5));
    }
    let _: () = redis::cmd("FLUSHALL")
        .query(&mut redis.connection())
        .unwrap();
    // Somebody new, who knows nothing of the first one.
    let two = lpm(redis.port, TEN_MBYTES, "lease = 3\n");
    until("counted again", || is_full(&two, 2, 1));
    assert_eq!(redis.counted(), 4);
    assert_eq!(
        decision(&one, 1, 1, 1.0),
        accept(5),
        "what was admitted stays"
    );
    one.deinitialize(DeinitReason::Shutdown).unwrap();
    until("free", || decision(&two, 2, 1, 1.0) == accept(5));
    two.deinitialize(DeinitReason::Shutdown).unwrap();
}

#[test]
fn a_server_that_comes_back_empty_grants_nothing_until_all_is_put_back() {
    let Some(redis) = Redis::start() else { return };
    let port = redis.port;
    let (one, two) = (
        lpm(port, TEN_MBYTES, "lease = 3\n"),
        lpm(port, TEN_MBYTES, "lease = 3\n"),
    );
    until("connected", || decision(&one, 1, 1, 1.0) == accept(5));
    until("connected", || decision(&two, 1, 2, 1.0) == accept(5));
    for sender in 3..=4 {
        assert_eq!(decision(&one, 1, sender, 1.0), accept(5));
    }
    drop(redis);
    let Ok(redis) = Redis::start_on(port) else {
        return;
    };
    until("counted again", || is_full(&two, 2, 1));
    assert_eq!(redis.counted(), 4);
    one.deinitialize(DeinitReason::Shutdown).unwrap();
    two.deinitialize(DeinitReason::Shutdown).unwrap();
}

/// A server that takes what it is sent, and answers so.
fn fake_redis(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = std::sync::Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = std::sync::Arc::clone(&answer);
            thread::spawn(move || answer(stream));
        }
    });
    port
}

/// Ends the LPM, which must not be held up.
fn ends(lpm: IdentityLpm) {
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        lpm.deinitialize(DeinitReason::Shutdown).unwrap();
        ended.send(()).unwrap();
    });
    end.recv_timeout(LONG).expect("it ends");
}

#[test]
fn a_server_that_trickles_holds_nobody() {
    let port = fake_redis(|mut stream| {
        // The beginning of an answer that never ends, in time for every single read.
        let _ = stream.write_all(b"+");
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let lpm = lpm(port, TEN_MBYTES, "time_limit = 1\n");
    for sender in 1..=3 {
        assert_eq!(decision(&lpm, 1, sender, 1.0), NO_ROOM);
    }
    ends(lpm);
}

#[test]
fn an_answer_has_a_limit() {
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = std::sync::Arc::clone(&sent);
    let (closed, was_closed) = mpsc::channel();
    let closed = std::sync::Mutex::new(closed);
    let port = fake_redis(move |mut stream| {
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer);
        let _ = stream.write_all(b"$500000000\r\n");
        let block = vec![b'x'; 1 << 16];
        while stream.write_all(&block).is_ok() {
            counter.fetch_add(1 << 16, std::sync::atomic::Ordering::Relaxed);
        }
        let _ = closed.lock().unwrap().send(());
    });
    let lpm = lpm(port, TEN_MBYTES, "time_limit = 3600\n");
    was_closed
        .recv_timeout(LONG)
        .expect("the connection is closed");
    assert_eq!(decision(&lpm, 1, 1, 1.0), NO_ROOM);
    let sent = sent.load(std::sync::atomic::Ordering::Relaxed);
    assert!(sent < 64 << 20, "{sent} bytes");
    ends(lpm);
}

#[test]
fn answers_that_make_no_sense_end_nothing() {
    for answer in [
        &b"garbage"[..],
        b"*1\r\n*1\r\n*1\r\n",
        b"-ERR no\r\n",
        b":99999999999999999999\r\n",
        b"*-1\r\n$-1\r\n",
        b"",
    ] {
        let answer = answer.repeat(1_000);
        let port = fake_redis(move |mut stream| {
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                if stream.write_all(&answer).is_err() || answer.is_empty() {
                    return;
                }
            }
        });
        let lpm = lpm(port, TEN_MBYTES, "");
        assert_eq!(decision(&lpm, 1, 1, 1.0), NO_ROOM);
        ends(lpm);
    }
}

#[test]
fn tls_takes_a_server_that_is_trusted_only() {
    let Some(certificates) = Certificates::new() else {
        return;
    };
    let folder = &certificates.folder;
    let port = free_port();
    let server = Command::new("redis-server")
        .args([
            "--port",
            "0",
            "--tls-port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
        ])
        .args([
            "--tls-cert-file",
            "server.pem",
            "--tls-key-file",
            "server.key",
        ])
        .args([
            "--tls-ca-cert-file",
            "server.pem",
            "--tls-auth-clients",
            "no",
        ])
        .args(["--save", "", "--appendonly", "no"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn();
    let Ok(server) = server else {
        println!("SKIPPED: redis-server is not installed");
        return;
    };
    let mut server = Redis { port, server };
    let start = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if server.server.try_wait().unwrap().is_some() {
            println!("SKIPPED: this redis-server has no TLS");
            return;
        }
        assert!(start.elapsed() < LONG, "redis-server hangs");
        thread::sleep(Duration::from_millis(10));
    }
    let with = |scheme: &str, ca: &str| {
        let config = format!(
            "{TEN_MBYTES}\n[shared_usage]\nserver = '{scheme}://localhost:{port}'\n\
             time_limit = 100\nlease = 1\nca_file = '{ca}'\n"
        );
        let config = Config::read(&config, "test", Some(folder.path())).unwrap();
        IdentityLpm::start(config).unwrap()
    };
    let trusting = with("rediss", "server.pem");
    until("connected", || decision(&trusting, 1, 1, 1.0) == accept(5));
    ends(trusting);
    for (scheme, ca) in [("rediss", "other.pem"), ("redis", "server.pem")] {
        let lpm = with(scheme, ca);
        for sender in 1..=3 {
            assert_eq!(decision(&lpm, 1, sender, 1.0), NO_ROOM, "{scheme} {ca}");
        }
        ends(lpm);
    }
}

#[test]
fn the_password_of_a_url_is_not_printed() {
    let read = |server: &str| {
        let text = format!("{TEN_MBYTES}\n[shared_usage]\nserver = '{server}'\n");
        Config::read(&text, "test", None)
    };
    let config = read("rediss://counter:open-sesame@localhost:6380/3").unwrap();
    assert!(!format!("{config:?}").contains("sesame"), "{config:?}");
    for wrong in [
        "http://counter:open-sesame@localhost",
        "redis://counter:open-sesame@localhost:port",
        "rediss://:open-sesame@localhost/#insecure",
    ] {
        let error = read(wrong).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("sesame"),
            "{error:?}"
        );
    }
}
