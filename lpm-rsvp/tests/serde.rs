//! The `serde` feature: what the values look like as JSON.
#![cfg(feature = "serde")]

use std::net::Ipv4Addr;

use lpm_rsvp::{FilterSpec, MessageType, PreemptionPriority, ResvStyle, Session, Text, Tspec};
use serde_json::{json, to_value};

#[test]
fn values_as_json() {
    let address = Ipv4Addr::new(10, 0, 0, 1);
    assert_eq!(
        to_value(Session::new(address, 17, 5004).unwrap()).unwrap(),
        json!({"address": "10.0.0.1", "protocol": 17, "flags": 0, "port": {"Port": 5004}})
    );
    assert_eq!(
        to_value(FilterSpec::gpi(address, 256)).unwrap(),
        json!({"address": "10.0.0.1", "selector": {"Gpi": 256}})
    );
    let tspec = Tspec {
        rate: 1.0,
        bucket: 2.0,
        peak_rate: 3.0,
        min_policed: 4,
        max_packet: 5,
    };
    assert_eq!(
        to_value(tspec).unwrap(),
        json!({"rate": 1.0, "bucket": 2.0, "peak_rate": 3.0, "min_policed": 4, "max_packet": 5})
    );
    assert_eq!(
        to_value(ResvStyle::FixedFilter).unwrap(),
        json!("FixedFilter")
    );
    assert_eq!(
        to_value(MessageType::Other(99)).unwrap(),
        json!({"Other": 99})
    );
    assert_eq!(
        to_value(Text::utf16(&[0, 65, 0, 10])).unwrap(),
        json!("A\n")
    );
    assert_eq!(
        to_value(PreemptionPriority::new(1, 2).unwrap()).unwrap(),
        json!({
            "merge_strategy": "HighestQos",
            "error": "None",
            "preemption_priority": 1,
            "defending_priority": 2,
        })
    );
}
