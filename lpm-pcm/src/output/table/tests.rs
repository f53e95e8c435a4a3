//! What the table says of records, and that what is printed again is what was printed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lpm_host::Outcome;
use lpm_rsvp::{FilterSpec, MessageType, Session};
use lpm_sbm::Refusal;
use proptest::prelude::*;

use super::*;
use crate::integrity::Provenance;
use crate::output::asked::Who;
use crate::output::flow::{FlowRecord, Reason, RefusedBy};

fn print(record: &Record<'_>) -> (String, String) {
    let (mut out, mut log) = (Vec::new(), Vec::new());
    Table::new(&mut out, &mut log).print(record).unwrap();
    let text = |bytes| anstream::adapter::strip_str(&String::from_utf8(bytes).unwrap()).to_string();
    (text(out), text(log))
}

/// Where a message was found: as a packet that was captured so many seconds after the epoch.
fn origin(seconds: u64) -> Origin {
    Origin {
        capture: "a.pcap".into(),
        packet: seconds + 1,
        time: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        source: [10, 0, 0, 7].into(),
        destination: [10, 0, 0, 9].into(),
    }
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let (out, _) = print(&Record::Malformed {
        number: 1,
        origin: &origin(0),
        message: None,
        offset: 4,
        error: "name \u{1b}[2J\n".to_owned(),
    });
    assert!(out.contains("name \\u{1b}[2J\\n\n"), "{out}");
}

#[test]
fn a_message_with_two_flows_takes_two_rows() {
    let flow = |index, outcome, by| FlowRecord {
        index,
        senders: [FilterSpec::new([10, 0, 0, 7], 4000 + index)].into(),
        lpv: 300,
        outcome,
        error_code: 2,
        error_value: 17,
        by,
        refused_by: (outcome == Outcome::Reject).then_some(RefusedBy::Policy),
        asked: None,
        why: None,
        resources: None,
        path: None,
        reason: (outcome == Outcome::Reject).then_some(Reason::Sbm(Refusal::NoPath)),
    };
    let (out, _) = print(&Record::Decision {
        number: 7,
        origin: &origin(0),
        integrity: Provenance::Unsigned,
        who: Who::default(),
        previous_hop: None,
        message: MessageType::Resv,
        interface: 1,
        session: Session::new([10, 0, 0, 9], 17, 5004),
        flows: &[
            flow(1, Outcome::Accept, Some("identity")),
            flow(2, Outcome::Reject, None),
        ],
        outcome: Outcome::Accept,
        nanos: Some(1),
    });
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with("packet  time"));
    assert_eq!(lines[1], "a.pcap, 1970-01-01 (UTC)");
    assert!(lines[2].starts_with("     1  00:00:00.000000  Resv "));
    assert!(lines[2].contains("10.0.0.7 > 10.0.0.9") && lines[2].contains("accept, priority 300"));
    assert!(lines[2].ends_with("identity  -"));
    assert!(!lines[3].contains("Resv") && lines[3].contains("reject 2/17 "));
    assert!(lines[3].ends_with(&Refusal::NoPath.to_string()));
}

proptest! {
    #[test]
    fn what_is_remembered_of_a_row_makes_no_difference(
        rows in prop::collection::vec((0..3_u8, 0..2_u16, 0..4_u32, 0..3_usize, 0..3_usize, any::<[bool; 2]>()), 1..20)
    ) {
        let (mut out, mut log) = (Vec::new(), Vec::new());
        let mut expected = Vec::new();
        let mut table = Table::new(&mut out, &mut log);
        table.grid.has_heading = true;
        let capture = Arc::from("a.pcap");
        (table.grid.day, table.grid.capture) = (Some(0), Arc::clone(&capture));
        for (seconds, (kind, sender, lpv, senders, by, [is_noted, is_signed])) in (0_u64..).zip(rows) {
            let sender = FilterSpec::new([10, 0, 0, 7], sender);
            let flow = FlowRecord {
                index: 0,
                senders: vec![sender; senders].into(),
                lpv,
                outcome: [Outcome::Accept, Outcome::Accept, Outcome::DontCare][usize::from(kind)],
                error_code: 0,
                error_value: 0,
                by: [Some("identity"), Some(""), None][by],
                refused_by: None,
                asked: None,
                why: None,
                resources: None,
                path: None,
                reason: is_noted.then_some(Reason::Sbm(Refusal::NoPath)),
            };
            let record = Record::Decision {
                number: seconds,
                origin: &Origin { capture: Arc::clone(&capture), ..origin(seconds) },
                integrity: if is_signed { Provenance::Verified } else { Provenance::Unsigned },
                message: [MessageType::Path, MessageType::Resv, MessageType::Resv][usize::from(kind)],
                who: Who::default(),
                previous_hop: None,
                interface: 1,
                session: Session::new([10, 0, 0, 9], 17, 5004),
                flows: &[flow],
                outcome: Outcome::Accept,
                nanos: Some(1),
            };
            table.print(&record).unwrap();
            let mut fresh = Table::new(&mut expected, io::sink());
            fresh.grid.has_heading = true;
            (fresh.grid.day, fresh.grid.capture) = (Some(0), Arc::clone(&capture));
            fresh.print(&record).unwrap();
        }
        prop_assert_eq!(out, expected);
    }

    #[test]
    fn a_row_that_is_printed_again_is_as_if_it_was_made_anew(
        rows in prop::collection::vec((0..2_usize, 0..4_usize, 0..1_000_000_u32, any::<bool>()), 1..20)
    ) {
        let captures = ["a.pcap", "b.pcap"].map(Arc::<str>::from);
        let (mut out, mut expected) = (Vec::new(), Vec::new());
        let mut table = Table::new(&mut out, io::sink());
        let mut fresh = Table::new(&mut expected, io::sink());
        let flows = [FlowRecord {
            index: 0,
            senders: vec![FilterSpec::new([10, 0, 0, 7], 1)].into(),
            lpv: 3,
            outcome: Outcome::Accept,
            error_code: 0,
            error_value: 0,
            by: Some("identity"),
            refused_by: None,
            asked: None,
            why: None,
            resources: None,
            path: None,
            reason: None,
        }];
        let mut row = None;
        for (capture, second, micros, is_again) in rows {
            let since = Duration::new([0, 1, 86_399, 86_400][second], micros * 1_000);
            let origin = Origin {
                capture: Arc::clone(&captures[capture]),
                time: SystemTime::UNIX_EPOCH + since,
                ..origin(0)
            };
            let record = Record::Decision {
                number: 1,
                origin: &origin,
                integrity: Provenance::Unsigned,
                message: MessageType::Path,
                who: Who::default(),
                previous_hop: None,
                interface: 1,
                session: Session::new([10, 0, 0, 9], 17, 5004),
                flows: &flows,
                outcome: Outcome::Accept,
                nanos: None,
            };
            fresh.print(&record).unwrap();
            match row.as_ref().filter(|_| is_again) {
                Some(row) => prop_assert!(table.print_again(&origin, row).unwrap()),
                None => {
                    table.print(&record).unwrap();
                    row = table.last_row();
                }
            }
        }
        prop_assert_eq!(out, expected);
    }
}

#[test]
fn events_that_are_no_news_are_left_out() {
    let event = |severity| Record::Event {
        id: "library_pinned",
        severity,
        lpm: Some("identity"),
        handle: None,
        library: None,
        status: None,
        status_name: None,
        detail: "stays mapped",
        message: None,
    };
    assert_eq!(print(&event("info")), (String::new(), String::new()));
    let (out, log) = print(&event("warning"));
    assert_eq!(
        (out.as_str(), log.as_str()),
        ("", "warning: LPM identity: stays mapped\n")
    );
}
