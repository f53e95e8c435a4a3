//! Decides with a script in JavaScript.
#![forbid(unsafe_code)]

use rquickjs::{Context, Runtime};

lpm_hazard::on_admit!(run);

fn run() {
    let runtime = Runtime::new().expect("a runtime");
    let context = Context::full(&runtime).expect("a context");
    let three = context.with(|context| context.eval::<i32, _>("1 + 2"));
    assert_eq!(three.expect("computed"), 3);
}
