//! What `pcm run` costs: printed, never judged. Run it alone, on a quiet machine:
//!
//! ```console
//! cargo test --release -p lpm-pcm --test network measured -- --ignored --nocapture
//! ```
//!
//! Costs are times of the processor that `pcm` had, so that end hosts on the same machine do not
//! count.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use lpm_rsvp::{MessageType, RsvpHop};

use crate::many::{Flow, WINDOW, route, set_up};
use crate::net::{End, Net, Pcm, RECEIVER, ROUTER, SENDER, can_make_networks, path, resv};
use crate::support::{Pcap, eventually, ipv4};
use crate::{USUAL, to};

const FLOWS: u16 = 10_000;
const ENFORCED: &str =
    "[run]\nenforce = true\n[interface.'10.77.2.254']\nbandwidth = '100 Gbit/s'\n";

/// What a process has had.
#[derive(Clone, Copy)]
struct Used {
    processor: Duration,
    at: Instant,
}

impl Used {
    fn by(pcm: &Pcm) -> Self {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pcm.id())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks = fields.split(' ').skip(11).take(2);
        let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Self {
            processor: Duration::from_millis(ticks * 10),
            at: Instant::now(),
        }
    }

    /// Says what so many of something took since then.
    fn say(self, pcm: &Pcm, what: &str, count: f64) {
        let now = Self::by(pcm);
        let [processor, wall] =
            [now.processor - self.processor, now.at - self.at].map(|time| time.as_secs_f64());
        println!(
            "{what}: {:.1} us of a processor each ({:.0}/s of one; {:.0}/s by the clock)",
            processor / count * 1e6,
            count / processor.max(0.01),
            count / wall
        );
    }
}

/// Waits until nothing waits for the router's sockets. How many packets they had no room for.
fn settle(pcm: &Pcm) -> u64 {
    eventually("all is read", || {
        let sockets = fs::read_to_string(format!("/proc/{}/net/raw", pcm.id())).unwrap();
        let mut dropped = 0;
        for socket in sockets.lines().skip(1) {
            let fields: Vec<_> = socket.split_whitespace().collect();
            if !fields[4].ends_with(":00000000") {
                return None;
            }
            dropped += fields[12].parse::<u64>().unwrap();
        }
        Some(dropped)
    })
}

/// All flows are announced and asked for. Where the receiver has its Paths from.
fn set_all_up(pcm: &Pcm, sender: &End, receiver: &End) -> RsvpHop {
    let (begun, memory) = (Used::by(pcm), pcm.memory());
    let last = set_up(FLOWS, sender, receiver);
    let count = f64::from(FLOWS);
    begun.say(pcm, "  a session set up (Path and Resv)", count);
    let grown = pcm.memory().saturating_sub(memory);
    println!(
        "  memory of a session: {:.0} bytes",
        grown as f64 * 1024.0 / count
    );
    last
}

/// One refresh of everything, as fast as it goes or in so long a time.
fn refresh(pcm: &Pcm, sender: &End, receiver: &End, last: RsvpHop, time: Option<Duration>) {
    let begun = Instant::now();
    let flows: Vec<_> = Flow::first(FLOWS).collect();
    for (done, flows) in flows.chunks(WINDOW).enumerate() {
        for flow in flows {
            sender.send(SENDER, to(flow.destination()), flow.path());
            receiver.send(RECEIVER, to(ROUTER[1]), flow.resv(last));
        }
        if let Some(time) = time {
            let part = (done * WINDOW) as f64 / f64::from(FLOWS);
            thread::sleep(time.mul_f64(part).saturating_sub(begun.elapsed()));
        }
        assert_eq!(settle(pcm), 0, "no room for messages");
    }
}

/// Packets a second that go over the second link while one host sends as fast as it can.
fn throughput(net: &Net) -> f64 {
    let sent = || -> f64 {
        let count = net.on_router("cat /sys/class/net/r1/statistics/tx_packets");
        count.trim().parse().unwrap()
    };
    let host = net.udp(true, 4001);
    let (before, begun) = (sent(), Instant::now());
    while begun.elapsed() < Duration::from_secs(3) {
        for _ in 0..1_000 {
            let _ = host.send_to(&[b'x'; 200], (Flow::SHARED, 9));
        }
    }
    (sent() - before) / begun.elapsed().as_secs_f64()
}

fn say_throughput(net: &Net, before: f64) {
    let after = throughput(net);
    println!(
        "  packets/s of one sender: {before:.0} with one flow, {after:.0} with all ({:.0} %)",
        after / before * 100.0
    );
}

/// The same messages as a capture, decided by `pcm replay`.
fn replay(last: RsvpHop) {
    let rounds = 5;
    let messages = Flow::first(FLOWS).flat_map(|flow| [flow.path(), flow.resv(last)]);
    let packets: Vec<_> = messages.map(|bytes| ipv4(46, &bytes)).collect();
    let mut pcap = Pcap::new(101);
    pcap.interval = 0;
    let packets = vec![packets; rounds].concat();
    let folder = crate::support::configured_with(crate::net::POLICY, "");
    let file = folder.path().join("all.pcap");
    fs::write(&file, pcap.file(&packets)).unwrap();
    let script = "TIMEFORMAT='%U %S'; time \"$0\" replay --config \"$1\" \"$2\" >/dev/null";
    let run = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_pcm")])
        .args([folder.path().join("pcm.toml"), file])
        .output()
        .unwrap();
    let times = String::from_utf8(run.stderr).unwrap();
    let last = times.lines().last().unwrap();
    let seconds: f64 = last
        .split(' ')
        .map(|time| time.parse::<f64>().unwrap())
        .sum();
    let count = packets.len() as f64;
    println!(
        "  pcm replay of the same, {rounds} rounds: {:.1} us of a processor each ({:.0}/s of one)",
        seconds / count * 1e6,
        count / seconds
    );
}

/// A message from the sender to the receiver.
fn delay(sender: &End, receiver: &End) {
    let mut times: Vec<_> = (0..1_000_u16)
        .map(|number| {
            // Each time something new, that the LPM is asked about.
            let bytes = path("CN=Bob", USUAL, 1e6 + f32::from(number) * 1e3);
            let begun = Instant::now();
            sender.send(SENDER, to(RECEIVER), bytes);
            while !receiver.has(MessageType::Path) {}
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "delay of a Path, one LPM: p50 {:?}, p99 {:?}",
        times[500], times[990]
    );
}

#[test]
#[ignore = "prints figures"]
fn measured() {
    if !can_make_networks() {
        return;
    }
    for (name, tables) in [
        ("without the kernel", "[run]\n"),
        ("with the kernel", ENFORCED),
        (
            "without the kernel, the LPM in a process of its own",
            "isolation = 'process'\n[run]\n",
        ),
    ] {
        println!("{FLOWS} sessions {name}:");
        let net = Net::new();
        route(&net);
        let pcm = net.pcm(tables);
        let (sender, receiver) = (net.sender(), net.receiver());
        delay(&sender, &receiver);
        sender.send(SENDER, to(RECEIVER), path("CN=Bob", USUAL, 1e6));
        let came = receiver.next(MessageType::Path);
        receiver.send(RECEIVER, to(ROUTER[1]), resv("CN=Bob", &came, 1e6));
        sender.next(MessageType::Resv);
        let before = throughput(&net);
        let last = set_all_up(&pcm, &sender, &receiver);
        say_throughput(&net, before);
        let begun = Used::by(&pcm);
        refresh(&pcm, &sender, &receiver, last, None);
        begun.say(&pcm, "  a refresh", f64::from(FLOWS) * 2.0);
        let begun = Used::by(&pcm);
        refresh(&pcm, &sender, &receiver, last, Some(USUAL));
        let share = (Used::by(&pcm).processor - begun.processor).as_secs_f64()
            / begun.at.elapsed().as_secs_f64();
        println!(
            "  all refreshed every 30 s: {:.1} % of a processor",
            share * 100.0
        );
        if tables == ENFORCED {
            replay(last);
        }
        pcm.stop("TERM");
    }
}

/// The filters alone: with one flow, and with all, again and again.
#[test]
#[ignore = "prints figures"]
fn filters_measured() {
    if !can_make_networks() {
        return;
    }
    let nets = [1, FLOWS].map(|count| {
        let net = Net::new();
        route(&net);
        let pcm = net.pcm(ENFORCED);
        set_up(count, &net.sender(), &net.receiver());
        (net, pcm)
    });
    for _ in 0..7 {
        say_throughput(&nets[1].0, throughput(&nets[0].0));
    }
}
