//! Captures of other implementations: every RSVP message in them is found, and those that are
//! malformed on purpose are reported as such.

mod support;

use std::path::{Path, PathBuf};

use support::pcm;

/// File, RSVP messages (as tshark counts them, ICMP quotes left out), and how many of them are
/// malformed.
const CAPTURES: [(&str, u64, u64); 14] = [
    ("cisco/ios12-124path.pcap", 124, 0),
    ("cisco/ios12-46path.pcap", 46, 0),
    ("cisco/ios12-9path.pcap", 9, 0),
    ("click/network1.pcap", 4, 0),
    ("generated/click-7types.pcap", 8, 1),
    ("tcpdump/rsvp-inf-loop-2.pcapng", 1, 1),
    ("tcpdump/rsvp-infinite-loop.pcap", 5, 5),
    ("tcpdump/rsvp-rsvp_obj_print-oobr.pcap", 1, 1),
    ("tcpdump/rsvp_cap.pcap", 1, 1),
    ("tcpdump/rsvp_fast_reroute-oobr.pcap", 1, 1),
    ("tcpdump/rsvp_uni-oobr-1.pcap", 1, 1),
    ("tcpdump/rsvp_uni-oobr-2.pcap", 1, 1),
    ("tcpdump/rsvp_uni-oobr-3.pcap", 2, 2),
    ("wireshark/path.pcap", 1, 0),
];

/// Those whose licence allows it are in the repository; the others may lie next to it.
fn find(name: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    ["tests/captures", "../shared/captures"]
        .map(|folder| workspace.join(folder).join(name))
        .into_iter()
        .find(|path| path.exists())
}

#[test]
fn every_message_is_found() {
    let mut checked = 0;
    for (name, messages, malformed) in CAPTURES {
        let Some(path) = find(name) else {
            eprintln!("not checked, since it is not here: {name}");
            continue;
        };
        checked += 1;
        let run = pcm(&["replay", "--format", "json", path.to_str().unwrap()]);
        assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{name}");
        let summary = run.records("summary").next().unwrap();
        assert_eq!(
            (&summary["messages"], &summary["malformed"]),
            (&messages.into(), &malformed.into()),
            "{name}"
        );
        let reported = run.records("malformed").count() + run.records("decision").count();
        assert_eq!(reported as u64, messages, "{name}");
    }
    assert!(checked >= 9, "those in the repository");
}
