//! `pcm run` between a sender and a receiver, in network namespaces that the tests make. Skipped
//! where they cannot.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]
#![allow(unreachable_pub, reason = "modules of a test")]

mod filters;
mod ipv6;
mod isolated;
mod long;
mod lossy;
mod many;
mod measured;
mod net;
mod outside;
mod reliable;
mod replaced;
mod signed;
#[path = "../support/mod.rs"]
mod support;
mod topology;
mod udp;

use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lpm_rsvp::integrity::{Algorithm, Key, sign, verify};
use lpm_rsvp::{MessageType, ResvStyle};

use net::{
    Came, End, Net, RECEIVER, ROUTER, SENDER, V4, can_make_networks, hop, path, resv, tspec,
};
use support::eventually;

const USUAL: Duration = Duration::from_secs(30);
const ENFORCED: &str =
    "[run]\nenforce = true\n[interface.'10.77.2.254']\nbandwidth = '10 Mbit/s'\n";

fn to(address: std::net::Ipv4Addr) -> IpAddr {
    address.into()
}

fn path_tear() -> Vec<u8> {
    V4.path_tear()
}

/// A flow of Bob's with this rate in bit/s is announced, asked for, and reserved.
fn reserve(sender: &End, receiver: &End, bits: f32) -> Came {
    sender.send(SENDER, to(RECEIVER), path("CN=Bob", USUAL, bits));
    let came = receiver.next(MessageType::Path);
    receiver.send(RECEIVER, to(ROUTER[1]), resv("CN=Bob", &came, bits));
    sender.next(MessageType::Resv);
    came
}

fn resv_tear(answered: &Came) -> Vec<u8> {
    V4.resv_tear(answered)
}

#[test]
fn bobs_flow_goes_through_and_is_torn_down() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let pcm = net.pcm("");
    let (sender, receiver) = (net.sender(), net.receiver());
    sender.send(SENDER, to(RECEIVER), path("CN=Bob", USUAL, 1e6));
    let came = receiver.next(MessageType::Path);
    assert_eq!((came.source, came.ttl), (to(SENDER), 63));
    came.read(|message| {
        assert_eq!(message.hop().unwrap().address, to(ROUTER[1]));
        assert_eq!(message.sender_tspec(), Some(tspec(1e6)));
        assert_eq!(message.policy_data().count(), 1);
    });
    receiver.send(RECEIVER, to(ROUTER[1]), resv("CN=Bob", &came, 1e6));
    let asked = sender.next(MessageType::Resv);
    assert_eq!(asked.source, to(ROUTER[0]));
    asked.read(|message| {
        assert_eq!(message.hop(), Some(hop(ROUTER[0], 7)));
        assert_eq!(message.style(), Some(ResvStyle::FixedFilter));
        assert_eq!(message.resv_confirm().unwrap().receiver, to(RECEIVER));
        assert_eq!(
            message.flow_descriptors().next().unwrap().tspec(),
            Some(tspec(1e6))
        );
    });
    receiver.send(RECEIVER, to(ROUTER[1]), resv_tear(&came));
    sender.next(MessageType::ResvTear);
    sender.send(SENDER, to(RECEIVER), path_tear());
    receiver.next(MessageType::PathTear);
    assert_eq!(pcm.stop("TERM"), Some(143));
}

#[test]
fn eve_is_refused_with_the_lpms_code_and_bob_is_not() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let pcm = net.pcm("");
    let (sender, receiver) = (net.sender(), net.receiver());
    let error = |came: &Came| {
        let error = came.read(|message| message.error_spec().unwrap());
        (error.node, error.code, error.value)
    };
    // POLICY_ERRV_NO_PRIVILEGES.
    let refused = |node| (to(node), 2, 50);
    sender.send(SENDER, to(RECEIVER), path("CN=Eve", USUAL, 1e6));
    assert_eq!(
        error(&sender.next(MessageType::PathErr)),
        refused(ROUTER[0])
    );

    sender.send(SENDER, to(RECEIVER), path("CN=Bob", USUAL, 1e6));
    let came = receiver.next(MessageType::Path);
    receiver.send(RECEIVER, to(ROUTER[1]), resv("CN=Eve", &came, 1e6));
    assert_eq!(
        error(&receiver.next(MessageType::ResvErr)),
        refused(ROUTER[1])
    );
    receiver.send(RECEIVER, to(ROUTER[1]), resv("CN=Bob", &came, 1e6));
    sender.next(MessageType::Resv);

    // The end tears down in both directions.
    assert_eq!(pcm.stop("INT"), Some(130));
    sender.next(MessageType::ResvTear);
    receiver.next(MessageType::PathTear);
}

#[test]
fn a_sender_that_falls_silent_times_out_by_its_own_period() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let _pcm = net.pcm("[run]\nrefresh = '500 ms'\n");
    let (sender, receiver) = (net.sender(), net.receiver());
    sender.send(
        SENDER,
        to(RECEIVER),
        path("CN=Bob", Duration::from_millis(400), 1e6),
    );
    let began = Instant::now();
    receiver.next(MessageType::Path);
    // The router refreshes by a period of its own.
    receiver.next(MessageType::Path);
    receiver.next(MessageType::PathTear);
    // (3 + 0.5) · 1.5 · 0.4 s
    assert!(began.elapsed() >= Duration::from_millis(2_100));
}

/// How many of the bytes that are sent to two ports for some seconds arrive, in bit/s on the wire:
/// 12 Mbit/s to each.
fn throughput(net: &Net) -> [f64; 2] {
    const LENGTH: usize = 1200;
    /// Ethernet, IP and UDP.
    const HEADERS: usize = 42;
    const SECONDS: u32 = 4;
    let ports = [5201_u16, 5202];
    let senders = [4000_u16, 4001].map(|port| net.udp(true, port));
    let receivers = ports.map(|port| net.udp(false, port));
    let count = |socket: UdpSocket| {
        socket
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 2048];
            let mut window: Option<Instant> = None;
            let (mut bytes, mut last) = (0, Instant::now());
            while let Ok(length) = socket.recv(&mut buffer) {
                let start = *window.get_or_insert_with(Instant::now);
                // Bursts at the beginning do not count.
                if start.elapsed() > Duration::from_secs(1) {
                    bytes += length + HEADERS;
                    last = Instant::now();
                }
                if start.elapsed() > Duration::from_secs(u64::from(SECONDS) - 1) {
                    break;
                }
            }
            let time = window.map_or(Duration::ZERO, |start| last - start);
            let time = time.saturating_sub(Duration::from_secs(1)).as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let bits = bytes as f64 * 8.0;
            bits / time.max(0.1)
        })
    };
    let counted = receivers.map(count);
    let began = Instant::now();
    let payload = [b'x'; LENGTH];
    let mut sent = 0_u32;
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let per_packet = (LENGTH + HEADERS) as f64 * 8.0 / 12e6;
    while began.elapsed() < Duration::from_secs(SECONDS.into()) {
        while f64::from(sent) * per_packet < began.elapsed().as_secs_f64() {
            // In turns: a queue that is full would favour whoever is always first.
            for turn in 0..2 {
                let which = (sent as usize + turn) % 2;
                let _ = senders[which].send_to(&payload, (RECEIVER, ports[which]));
            }
            sent += 1;
        }
        thread::sleep(Duration::from_millis(1));
    }
    counted.map(|counted| counted.join().unwrap())
}

#[test]
fn a_reservation_holds_against_a_rival_and_is_gone_after_the_teardown() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let pcm = net.pcm(ENFORCED);
    let (sender, receiver) = (net.sender(), net.receiver());
    let came = reserve(&sender, &receiver, 8e6);
    let classes = net.on_router("tc class show dev r1");
    assert!(classes.contains("rate 8Mbit ceil 8Mbit"), "{classes}");
    // What a loaded machine does not send cannot arrive: another time it does.
    eventually("the reservation holds", || {
        let [reserved, rival] = throughput(&net);
        eprintln!("reserved 8 Mbit/s: {reserved:.0} bit/s, its rival {rival:.0} bit/s");
        let holds = reserved > 3.0 * rival && reserved < 8.4e6 && rival < 2.4e6;
        (holds && reserved > 7e6).then_some(())
    });

    receiver.send(RECEIVER, to(ROUTER[1]), resv_tear(&came));
    sender.next(MessageType::ResvTear);
    eventually("the class is gone", || {
        let classes = net.on_router("tc class show dev r1");
        (!classes.contains("8Mbit")).then_some(())
    });
    let filters = net.on_router("tc filter show dev r1");
    assert!(!filters.contains("flowid"), "{filters}");
    eventually("both share the link", || {
        let [one, other] = throughput(&net);
        eprintln!("torn down: {one:.0} bit/s and {other:.0} bit/s");
        (one < 2.0 * other && one + other > 8e6).then_some(())
    });

    receiver.send(RECEIVER, to(ROUTER[1]), resv("CN=Bob", &came, 8e6));
    sender.next(MessageType::Resv);
    let filters = net.on_router("tc filter show dev r1");
    assert!(filters.contains("flowid"), "{filters}");
    eventually("it holds again", || {
        let [reserved, rival] = throughput(&net);
        eprintln!("reserved again: {reserved:.0} bit/s, its rival {rival:.0} bit/s");
        // What waited in the class of the rest comes late, and counts once more.
        let holds = reserved > 3.0 * rival && reserved < 8.4e6;
        (holds && reserved > 7e6).then_some(())
    });

    assert_eq!(pcm.stop("TERM"), Some(143));
    let qdiscs = net.on_router("tc qdisc show dev r1");
    assert!(!qdiscs.contains("htb"), "{qdiscs}");
}

#[test]
fn messages_get_through_where_the_link_is_full() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let _pcm = net.pcm(ENFORCED);
    let (sender, receiver) = (net.sender(), net.receiver());
    reserve(&sender, &receiver, 8e6);
    let (flood, is_over) = (net.udp(true, 4001), Arc::new(AtomicBool::new(false)));
    let until = Arc::clone(&is_over);
    let flooding = thread::spawn(move || {
        while !until.load(Ordering::Relaxed) {
            // Some 100 Mbit/s, for which there are 2.
            for _ in 0..10 {
                let _ = flood.send_to(&[b'x'; 1200], (RECEIVER, 5202));
            }
            thread::sleep(Duration::from_millis(1));
        }
    });
    eventually("packets are lost", || {
        let class = net.on_router("tc -s class show dev r1 classid 5043:fffe");
        (!class.contains("dropped 0,")).then_some(())
    });
    for change in 1..=10_u8 {
        let bits = 8e6 + 1e5 * f32::from(change);
        sender.send(SENDER, to(RECEIVER), path("CN=Bob", USUAL, bits));
        let came = receiver.next(MessageType::Path);
        assert_eq!(
            came.read(|message| message.sender_tspec()),
            Some(tspec(bits))
        );
    }
    is_over.store(true, Ordering::Relaxed);
    flooding.join().unwrap();
}

#[test]
fn what_a_crash_left_behind_is_taken_over() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let pcm = net.pcm(ENFORCED);
    let (sender, receiver) = (net.sender(), net.receiver());
    reserve(&sender, &receiver, 8e6);
    assert_eq!(pcm.stop("KILL"), None);
    let classes = net.on_router("tc class show dev r1");
    assert!(classes.contains("rate 8Mbit"), "{classes}");

    // Who enforces nothing leaves it, and says so.
    let counting = net.pcm(&ENFORCED.replace("true", "false"));
    assert!(counting.has_said("`tc qdisc del dev r1 root` takes them away"));
    assert_eq!(counting.stop("TERM"), Some(143));

    let pcm = net.pcm(ENFORCED);
    assert!(!pcm.has_said("the kernel does not have"));
    reserve(&sender, &receiver, 3e6);
    let classes = net.on_router("tc class show dev r1");
    assert!(
        classes.contains("rate 3Mbit") && !classes.contains("8Mbit"),
        "{classes}"
    );
    assert_eq!(pcm.stop("TERM"), Some(143));
    assert!(!net.on_router("tc qdisc show dev r1").contains("htb"));
}

#[test]
fn an_operators_qdisc_is_left_alone_unless_he_says_otherwise() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    net.on_router("tc qdisc add dev r1 root handle 77: tbf rate 100mbit burst 100k latency 50ms");
    let pcm = net.pcm(ENFORCED);
    let (sender, receiver) = (net.sender(), net.receiver());
    sender.send(SENDER, to(RECEIVER), path("CN=Bob", USUAL, 1e6));
    let came = receiver.next(MessageType::Path);
    receiver.send(RECEIVER, to(ROUTER[1]), resv("CN=Bob", &came, 1e6));
    let error = receiver.next(MessageType::ResvErr);
    assert_eq!(error.read(|message| message.error_spec().unwrap().code), 22);
    assert!(pcm.has_said("r1 has a tbf qdisc that somebody else put there"));
    assert_eq!(pcm.stop("TERM"), Some(143));
    assert!(net.on_router("tc qdisc show dev r1").contains("tbf 77:"));

    let replacing = ENFORCED.replace("enforce", "replace_qdisc = true\nenforce");
    let pcm = net.pcm(&replacing);
    reserve(&sender, &receiver, 1e6);
    assert!(net.on_router("tc qdisc show dev r1").contains("htb"));
    assert_eq!(pcm.stop("TERM"), Some(143));
}

#[test]
fn what_is_signed_goes_through_and_what_is_not_or_wrongly_does_not() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let keys = "[[keys]]\nfile = 'r.key'\nalgorithm = 'hmac-sha256'\nid = 5\nrequired = true\n";
    let pcm = net.pcm(keys);
    let (sender, receiver) = (net.sender(), net.receiver());
    let key = |secret: &str| Key::new(5, Algorithm::HmacSha256, secret).unwrap();
    let right = key(net::SECRET);
    let plain = |name, bits| path(name, USUAL, bits);
    // Each of these would say another rate.
    sender.send(SENDER, to(RECEIVER), plain("CN=Bob", 3e6));
    let forged = sign(&plain("CN=Bob", 2e6), &key("guessed"), 1).unwrap();
    sender.send(SENDER, to(RECEIVER), forged);
    let good = sign(&plain("CN=Bob", 1e6), &right, 2).unwrap();
    sender.send(SENDER, to(RECEIVER), good.clone());
    let came = receiver.next(MessageType::Path);
    came.read(|message| {
        assert_eq!(message.sender_tspec(), Some(tspec(1e6)));
        let verified = verify(message, &right).expect("signed by the router");
        assert_eq!(verified.key_id, 5);
    });
    // The same again is a copy; the next one is not.
    sender.send(SENDER, to(RECEIVER), good);
    let next = sign(&plain("CN=Bob", 4e6), &right, 3).unwrap();
    sender.send(SENDER, to(RECEIVER), next);
    let came = receiver.next(MessageType::Path);
    came.read(|message| assert_eq!(message.sender_tspec(), Some(tspec(4e6))));
    let asked = sign(&resv("CN=Bob", &came, 1e6), &right, 1).unwrap();
    receiver.send(RECEIVER, to(ROUTER[1]), asked);
    sender.next(MessageType::Resv).read(|message| {
        verify(message, &right).expect("signed by the router");
    });
    assert_eq!(pcm.stop("TERM"), Some(143));
}

#[test]
fn what_is_kept_can_be_asked_from_outside() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let pcm = net.pcm("[run]\ncontrol = 'control'\n[interface.'*']\nbandwidth = '10 Mbit/s'\n");
    let (sender, receiver) = (net.sender(), net.receiver());
    reserve(&sender, &receiver, 1e6);
    let ask = |arguments: &[&str]| {
        let socket = pcm.file("control");
        let run = support::pcm(&[arguments, &["--socket", socket.to_str().unwrap()]].concat());
        assert_eq!((run.status, run.stderr.as_str()), (0, ""));
        run.stdout
    };
    let sessions = ask(&["sessions"]);
    let lines: Vec<_> = sessions.lines().collect();
    assert_eq!(
        lines,
        [
            "10.77.2.1:5201/udp",
            "  from 10.77.1.1:4000 by 10.77.1.1, CN=Bob",
            "  FF 1000000 bit/s for 10.77.2.1, priority 10, CN=Bob"
        ]
    );
    assert_eq!(ask(&["sessions", "--user", "CN=Bob"]), sessions);
    assert_eq!(ask(&["sessions", "--user", "CN=Eve"]), "");
    let status = ask(&["status"]);
    assert!(
        status.contains("1 sessions, 2 flows, counted only"),
        "{status}"
    );
    assert!(status.contains("r1: 1000000 bit/s reserved"), "{status}");
    pcm.configure(&net::POLICY.replace("CN=Eve", "CN=Mallory"));
    ask(&["reload"]);
    eventually("pcm has reloaded", || {
        pcm.has_said("reloaded: ").then_some(())
    });
    sender.send(SENDER, to(RECEIVER), path("CN=Eve", USUAL, 1e6));
    receiver.next(MessageType::Path);
    let socket = pcm.file("control");
    assert_eq!(pcm.stop("TERM"), Some(143));
    let run = support::pcm(&["status", "--socket", socket.to_str().unwrap()]);
    assert_eq!(run.status, 1);
    assert!(run.stderr.contains("is pcm run there"), "{}", run.stderr);
}

#[test]
fn a_new_policy_holds_after_sighup_and_flows_live_on() {
    if !can_make_networks() {
        return;
    }
    let net = Net::new();
    let pcm = net.pcm("");
    let (sender, receiver) = (net.sender(), net.receiver());
    let came = reserve(&sender, &receiver, 1e6);
    pcm.configure(&net::POLICY.replace("CN=Eve", "CN=Bob"));
    pcm.signal("HUP");
    eventually("pcm has reloaded", || {
        pcm.has_said("reloaded: ").then_some(())
    });
    // A refresh is not asked about; what is new is.
    sender.send(SENDER, to(RECEIVER), path("CN=Bob", USUAL, 1e6));
    receiver.send(RECEIVER, to(ROUTER[1]), resv("CN=Bob", &came, 2e6));
    receiver.next(MessageType::ResvErr);
    sender.send(SENDER, to(RECEIVER), path("CN=Eve", USUAL, 1e6));
    receiver.next(MessageType::Path);
    assert_eq!(pcm.stop("TERM"), Some(143));
}
