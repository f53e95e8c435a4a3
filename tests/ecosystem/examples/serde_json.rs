//! Reads and writes JSON.
#![forbid(unsafe_code)]

use serde_json::{Value, json};

lpm_hazard::on_admit!(read);

fn read() {
    let value: Value = serde_json::from_str(r#"{"user": "alice"}"#).expect("JSON");
    assert_eq!(value, json!({"user": "alice"}));
}
