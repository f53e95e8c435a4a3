//! What `pcm run` counts, and how it is shown to Prometheus. The book lists the metrics; a test
//! compares.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use lpm_host::Outcome;
use lpm_host::status::{Latencies, LpmHealth, LpmMetrics, Phase};
use lpm_rsvp::MessageType;
use lpm_sbm::{Decided, DropReason};
use tokio::time::Instant;

use super::exposition::Exposition;

/// What is counted besides what the PCM and the node count.
#[derive(Default)]
pub struct Counters {
    /// By the number of the interface, and the type.
    received: BTreeMap<(u32, u8), u64>,
    sent: BTreeMap<(u32, u8), u64>,
    /// By the type of the message, and the outcome.
    rulings: BTreeMap<(String, &'static str), u64>,
    failures: BTreeMap<&'static str, u64>,
    /// Of messages whose refresh period is too long, by the number of the interface.
    bounded: BTreeMap<u32, u64>,
    /// When what is not answered yet was asked.
    asked: HashMap<u64, Instant>,
    decisions: Latencies,
}

impl Counters {
    /// A message came in on an interface.
    pub fn received(&mut self, interface: u32, bytes: &[u8]) {
        *self
            .received
            .entry((interface, type_of(bytes)))
            .or_default() += 1;
    }

    /// A message went out on an interface.
    pub fn sent(&mut self, interface: u32, bytes: &[u8]) {
        *self.sent.entry((interface, type_of(bytes))).or_default() += 1;
    }

    /// The LPMs are asked about a message.
    pub fn asked(&mut self, question: u64) {
        self.asked.insert(question, Instant::now());
    }

    /// They have decided.
    pub fn decided(&mut self, question: u64) {
        if let Some(asked) = self.asked.remove(&question) {
            self.decisions.add(asked.elapsed());
        }
    }

    /// This became of a flow.
    pub fn ruled(&mut self, decided: &Decided) {
        let key = (decided.message.to_string(), decided.outcome.name());
        *self.rulings.entry(key).or_default() += 1;
    }

    /// A message came in on an interface whose refresh period is taken for a shorter one.
    pub fn bounded(&mut self, interface: u32) {
        *self.bounded.entry(interface).or_default() += 1;
    }

    /// Something failed: `send`, `reserve`, `integrity` or `fragments`.
    pub fn failed(&mut self, what: &'static str) {
        *self.failures.entry(what).or_default() += 1;
    }
}

/// The type of a message; 0 where it has none.
#[must_use]
pub fn type_of(bytes: &[u8]) -> u8 {
    bytes.get(1).copied().unwrap_or_default()
}

/// An interface that RSVP runs on.
pub struct InterfaceView {
    /// Its name.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// What reservations may take of it together, in bit/s; `None` without a limit.
    pub bandwidth: Option<u64>,
    /// What they take, in bit/s.
    pub reserved: u64,
}

/// All that is shown besides the counters.
pub struct View<'a> {
    /// How long the service has been there.
    pub uptime: Duration,
    /// Its interfaces.
    pub interfaces: &'a [InterfaceView],
    /// How many sessions it keeps.
    pub sessions: usize,
    /// How many flows.
    pub flows: usize,
    /// Messages that were not taken in.
    pub dropped: &'a BTreeMap<DropReason, u64>,
    /// How the PCM is.
    pub status: &'a lpm_host::status::Status,
    /// What it counts of LPMs.
    pub lpms: &'a [LpmMetrics],
}

/// Everything as text.
#[must_use]
pub fn text(counters: &Counters, view: &View<'_>) -> String {
    let mut out = Exposition::default();
    service(&mut out, counters, view);
    interfaces(&mut out, view.interfaces);
    lpms(&mut out, view);
    out.finish()
}

fn service(out: &mut Exposition, counters: &Counters, view: &View<'_>) {
    out.gauge(
        "pcm_uptime_seconds",
        "How long this pcm run has been serving.",
    );
    out.sample("pcm_uptime_seconds", &[], view.uptime.as_secs_f64());
    out.gauge(
        "pcm_in_charge",
        "1 while the LPMs are in charge of decisions, 0 after pcm demote.",
    );
    let in_charge = u8::from(view.status.phase == Phase::InCharge);
    out.sample("pcm_in_charge", &[], in_charge);
    out.gauge("pcm_sessions", "RSVP sessions that there is state of.");
    out.sample("pcm_sessions", &[], view.sessions);
    out.gauge(
        "pcm_flows",
        "Flows that there is state of: senders, and requests of next hops.",
    );
    out.sample("pcm_flows", &[], view.flows);

    let name_of = |index: u32| {
        let mut interfaces = view.interfaces.iter();
        let known = interfaces.find(|interface| interface.index == index);
        known.map_or_else(|| index.to_string(), |interface| interface.name.clone())
    };
    for (name, help, counts) in [
        (
            "pcm_messages_received_total",
            "RSVP messages that came in, by type and interface.",
            &counters.received,
        ),
        (
            "pcm_messages_sent_total",
            "RSVP messages that went out, by type and interface.",
            &counters.sent,
        ),
    ] {
        out.counter(name, help);
        for ((interface, kind), count) in counts {
            let kind = MessageType::from(*kind).to_string();
            let interface = name_of(*interface);
            out.sample(name, &[("type", &kind), ("interface", &interface)], count);
        }
    }
    out.counter(
        "pcm_messages_dropped_total",
        "RSVP messages that were not taken in, by reason.",
    );
    for (reason, count) in view.dropped {
        out.sample(
            "pcm_messages_dropped_total",
            &[("reason", reason.name())],
            count,
        );
    }
    let name = "pcm_refresh_periods_bounded_total";
    let help = "Messages whose refresh period was taken for the longest that is allowed.";
    out.counter(name, help);
    for (interface, count) in &counters.bounded {
        out.sample(name, &[("interface", &name_of(*interface))], count);
    }
    out.counter(
        "pcm_rulings_total",
        "What became of flows, by type of message and outcome.",
    );
    for ((message, outcome), count) in &counters.rulings {
        let labels = [("message", &**message), ("outcome", *outcome)];
        out.sample("pcm_rulings_total", &labels, count);
    }
    let help = "What failed: send (a message), reserve (in the kernel), integrity (a signature), fragments (some never came).";
    out.counter("pcm_failures_total", help);
    for what in ["fragments", "integrity", "reserve", "send"] {
        let count = counters.failures.get(what).copied().unwrap_or_default();
        out.sample("pcm_failures_total", &[("what", what)], count);
    }
    let help = "How long all LPMs together took to decide on a message, from the question on.";
    out.histogram("pcm_decision_duration_seconds", help);
    out.times("pcm_decision_duration_seconds", &[], &counters.decisions);
}

fn interfaces(out: &mut Exposition, interfaces: &[InterfaceView]) {
    let bytes = |bits: u64| bits / 8;
    let name = "pcm_interface_bandwidth_bytes_per_second";
    out.gauge(name, "What reservations may take of an interface together.");
    for interface in interfaces {
        if let Some(bandwidth) = interface.bandwidth {
            out.sample(name, &[("interface", &interface.name)], bytes(bandwidth));
        }
    }
    let name = "pcm_interface_reserved_bytes_per_second";
    out.gauge(name, "What reservations take of an interface.");
    for interface in interfaces {
        let reserved = bytes(interface.reserved);
        out.sample(name, &[("interface", &interface.name)], reserved);
    }
    let name = "pcm_interface_free_bytes_per_second";
    out.gauge(name, "What is left of an interface for reservations.");
    for interface in interfaces {
        if let Some(bandwidth) = interface.bandwidth {
            let free = bytes(bandwidth.saturating_sub(interface.reserved));
            out.sample(name, &[("interface", &interface.name)], free);
        }
    }
}

fn lpms(out: &mut Exposition, view: &View<'_>) {
    out.gauge(
        "pcm_lpm_serving",
        "1 for an LPM that is asked; 0 in quarantine or not initialized.",
    );
    for lpm in &view.status.lpms {
        let is_serving = u8::from(lpm.health == LpmHealth::Serving);
        out.sample("pcm_lpm_serving", &[("lpm", &lpm.name)], is_serving);
    }
    out.gauge(
        "pcm_lpm_open_requests",
        "Requests that an LPM still has to answer.",
    );
    for lpm in &view.status.lpms {
        let open = lpm.initialized.as_ref().map_or(0, |lpm| lpm.open_requests);
        out.sample("pcm_lpm_open_requests", &[("lpm", &lpm.name)], open);
    }
    out.gauge(
        "pcm_lpm_info",
        "Which library an LPM comes from, and its version; always 1.",
    );
    for lpm in &view.status.lpms {
        let library = lpm.source.to_string();
        let version = lpm
            .initialized
            .as_ref()
            .and_then(|lpm| lpm.version.as_deref());
        let version = version.unwrap_or_default();
        let labels = [
            ("lpm", &*lpm.name),
            ("library", &library),
            ("version", version),
        ];
        out.sample("pcm_lpm_info", &labels, 1);
    }
    out.gauge(
        "pcm_libraries_pinned",
        "Libraries that could not be unloaded, and stay mapped.",
    );
    out.sample("pcm_libraries_pinned", &[], view.status.pinned.len());

    out.counter(
        "pcm_lpm_decisions_total",
        "Decisions of an LPM on flows, by outcome.",
    );
    for lpm in view.lpms {
        for (outcome, count) in [
            (Outcome::Accept, lpm.accepted),
            (Outcome::Reject, lpm.rejected),
            (Outcome::Drop, lpm.dropped),
            (Outcome::DontCare, lpm.dont_care),
        ] {
            let labels = [("lpm", &*lpm.name), ("outcome", outcome.name())];
            out.sample("pcm_lpm_decisions_total", &labels, count);
        }
    }
    type Count = fn(&LpmMetrics) -> u64;
    let counts: [(&str, &str, Count); 6] = [
        (
            "pcm_lpm_requests_total",
            "Messages that an LPM was to be asked about.",
            |lpm| lpm.requests,
        ),
        (
            "pcm_lpm_deferred_total",
            "Requests that an LPM put off.",
            |lpm| lpm.deferred,
        ),
        (
            "pcm_lpm_failures_total",
            "Requests that an LPM gave no answer to, so that the flows were rejected.",
            |lpm| lpm.failed,
        ),
        (
            "pcm_lpm_timeouts_total",
            "Of those, requests that were not answered in time.",
            |lpm| lpm.timed_out,
        ),
        (
            "pcm_lpm_late_answers_total",
            "Answers of an LPM that came too late.",
            |lpm| lpm.late,
        ),
        (
            "pcm_lpm_process_ends_total",
            "Times that the process which runs an LPM crashed or was killed.",
            |lpm| lpm.ended,
        ),
    ];
    for (name, help, count) in counts {
        out.counter(name, help);
        for lpm in view.lpms {
            out.sample(name, &[("lpm", &lpm.name)], count(lpm));
        }
    }
    let help = "How long an LPM took to answer, of a sample of the requests.";
    out.histogram("pcm_lpm_answer_duration_seconds", help);
    for lpm in view.lpms {
        let times = &lpm.latencies;
        out.times(
            "pcm_lpm_answer_duration_seconds",
            &[("lpm", &lpm.name)],
            times,
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use lpm_api::{AdmitRequest, Answer, Decision, InitError, InitInfo, Lpm, Priority};
    use lpm_host::{LpmConfig, LpmSource, Pcm};
    use lpm_rsvp::Session;
    use lpm_sbm::Ruling;

    use super::*;

    struct AcceptsAll;

    impl Lpm for AcceptsAll {
        fn initialize(_: InitInfo<'_>) -> Result<Self, InitError> {
            Ok(Self)
        }

        fn admit(&self, request: AdmitRequest<'_>) -> Answer {
            request.decide_all(Decision::accept(Priority::MIN))
        }
    }

    /// A sample: its name, its labels, its value.
    type Sample = (String, BTreeMap<String, String>, f64);

    /// Reads what Prometheus would: samples under the type of their metric, and nothing else.
    fn parse(text: &str) -> (BTreeMap<String, String>, Vec<Sample>) {
        let (mut kinds, mut samples) = (BTreeMap::new(), Vec::new());
        let mut family = String::new();
        let mut helped = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                assert!(!help.is_empty(), "{line}");
                helped = name.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, helped);
                let before = kinds.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "{name} twice");
                family = name.to_owned();
            } else {
                let sample = sample(line);
                let suffix = sample.0.strip_prefix(&family).expect(line);
                let is_good = match &*kinds[&family] {
                    "histogram" => matches!(suffix, "_bucket" | "_sum" | "_count"),
                    "counter" => suffix.is_empty() && family.ends_with("_total"),
                    _ => suffix.is_empty(),
                };
                assert!(is_good, "{line}");
                samples.push(sample);
            }
        }
        assert!(text.ends_with('\n'));
        (kinds, samples)
    }

    fn sample(line: &str) -> Sample {
        let end = line.find(['{', ' ']).unwrap();
        let (name, mut rest) = line.split_at(end);
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        };
        assert!(is_name(name), "{line}");
        let mut labels = BTreeMap::new();
        if let Some(inside) = rest.strip_prefix('{') {
            let mut inside = inside;
            loop {
                let (label, value) = inside.split_once("=\"").unwrap();
                assert!(is_name(label), "{line}");
                let mut text = String::new();
                let mut chars = value.char_indices();
                let end = loop {
                    match chars.next().expect(line) {
                        (_, '\\') => text.push(match chars.next().expect(line).1 {
                            'n' => '\n',
                            c @ ('\\' | '"') => c,
                            c => panic!("{c} in {line}"),
                        }),
                        (end, '"') => break end,
                        (_, c) => text.push(c),
                    }
                };
                assert_eq!(labels.insert(label.to_owned(), text), None, "{line}");
                inside = &value[end + 1..];
                match inside.strip_prefix(',') {
                    Some(more) => inside = more,
                    None => break,
                }
            }
            rest = inside.strip_prefix('}').expect(line);
        }
        let value = rest.strip_prefix(' ').expect(line);
        (name.to_owned(), labels, value.parse().expect(line))
    }

    fn example() -> String {
        let odd = "a \"b\"\\\n";
        let pcm = Pcm::builder().lpm(LpmConfig::new(odd, LpmSource::built_in::<AcceptsAll>()));
        let pcm = pcm.build().unwrap();
        pcm.become_dsbm().unwrap();
        let mut counters = Counters::default();
        counters.received(2, &[0x10, 1]);
        counters.received(2, &[0x10, 1]);
        counters.received(3, &[]);
        counters.sent(2, &[0x10, 2]);
        counters.asked(7);
        counters.decided(7);
        counters.decided(7);
        counters.failed("send");
        counters.ruled(&Decided {
            message: MessageType::Path,
            session: Session::new(std::net::Ipv4Addr::LOCALHOST, 17, 1).unwrap(),
            flow: None,
            outcome: Ruling::Granted(Priority::MIN),
        });
        let interface = |name: &str, index, bandwidth| InterfaceView {
            name: name.to_owned(),
            index,
            bandwidth,
            reserved: 8_000,
        };
        text(
            &counters,
            &View {
                uptime: Duration::from_millis(1_500),
                interfaces: &[
                    interface("eth0", 2, Some(80_000)),
                    interface("eth1", 4, None),
                ],
                sessions: 3,
                flows: 5,
                dropped: &BTreeMap::from([(DropReason::Loop, 9)]),
                status: &pcm.status(),
                lpms: &pcm.metrics(),
            },
        )
    }

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let text = example();
        let (_, samples) = parse(&text);
        let value = |name: &str, labels: &[(&str, &str)]| {
            let labels = labels
                .iter()
                .map(|(label, value)| ((*label).into(), (*value).into()));
            let labels: BTreeMap<String, String> = labels.collect();
            let mut found = samples
                .iter()
                .filter(|(other, of, _)| other == name && *of == labels);
            let value = found.next().map(|(_, _, value)| *value);
            assert_eq!(found.next(), None);
            value
        };
        let path = |interface| [("type", "Path"), ("interface", interface)];
        assert_eq!(
            value("pcm_messages_received_total", &path("eth0")),
            Some(2.0)
        );
        assert_eq!(value("pcm_uptime_seconds", &[]), Some(1.5));
        assert_eq!(value("pcm_in_charge", &[]), Some(1.0));
        assert_eq!(
            value("pcm_messages_dropped_total", &[("reason", "loop")]),
            Some(9.0)
        );
        let granted = [("message", "Path"), ("outcome", "granted")];
        assert_eq!(value("pcm_rulings_total", &granted), Some(1.0));
        assert_eq!(value("pcm_failures_total", &[("what", "send")]), Some(1.0));
        assert_eq!(value("pcm_decision_duration_seconds_count", &[]), Some(1.0));
        let all = [("le", "+Inf")];
        assert_eq!(
            value("pcm_decision_duration_seconds_bucket", &all),
            Some(1.0)
        );
        let (eth0, eth1) = ([("interface", "eth0")], [("interface", "eth1")]);
        let free = "pcm_interface_free_bytes_per_second";
        assert_eq!(value(free, &eth0), Some(9_000.0));
        assert_eq!(value(free, &eth1), None);
        assert_eq!(
            value("pcm_interface_reserved_bytes_per_second", &eth1),
            Some(1_000.0)
        );
        // What is odd in a name comes out as it was.
        assert_eq!(
            value("pcm_lpm_serving", &[("lpm", "a \"b\"\\\n")]),
            Some(1.0)
        );
    }

    #[test]
    fn buckets_of_times_grow() {
        let (kinds, samples) = parse(&example());
        let histograms = kinds.iter().filter(|(_, kind)| *kind == "histogram");
        for (name, _) in histograms {
            let buckets = samples
                .iter()
                .filter(|(other, ..)| *other == format!("{name}_bucket"));
            let (mut bounds, mut counts) = (Vec::new(), Vec::new());
            for (_, labels, count) in buckets {
                bounds.push(labels["le"].parse::<f64>().unwrap());
                counts.push(*count);
            }
            assert_eq!(bounds.len(), Latencies::BOUNDS.len() + 1);
            assert!(bounds.is_sorted() && counts.is_sorted(), "{name}");
            assert_eq!(bounds.last(), Some(&f64::INFINITY));
        }
    }

    #[test]
    fn the_book_lists_the_metrics() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/network.md");
        let page = fs::read_to_string(page).unwrap();
        let listed = page.lines().filter_map(|line| line.strip_prefix("| `pcm_"));
        let listed = listed.filter_map(|rest| rest.split(['`', '{']).next());
        let listed: BTreeSet<String> = listed.map(|name| format!("pcm_{name}")).collect();
        let (kinds, _) = parse(&example());
        assert_eq!(listed, kinds.into_keys().collect());
    }
}
