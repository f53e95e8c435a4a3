//! Decides with a script in Rhai.
#![forbid(unsafe_code)]

use rhai::Engine;

lpm_hazard::on_admit!(run);

fn run() {
    assert_eq!(Engine::new().eval::<i64>("1 + 2").ok(), Some(3));
}
