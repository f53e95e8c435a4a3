//! What misbehaving LPMs come to that run in processes of their own: the tests of those in the
//! PCM's process, with the same outcome, but where they ask whether it is this program.
#![cfg(any(target_os = "linux", windows))]
#![forbid(unsafe_code)]

#[path = "misbehaviour_hand_over.rs"]
mod fails_to_hand_over;
#[path = "hand_over.rs"]
mod hands_over;
#[path = "lpmapi_misbehaviour.rs"]
mod in_c;
#[path = "misbehaviour_objects.rs"]
mod objects;
#[path = "misbehaviour_panics.rs"]
mod panics;
#[path = "misbehaviour_results.rs"]
mod results;
