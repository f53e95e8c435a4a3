//! Has Python, which is never finalized, compute.
#![forbid(unsafe_code)]

use pyo3::prelude::*;

lpm_hazard::on_admit!(run);

fn run() {
    let three = Python::attach(|python| python.eval(c"1 + 2", None, None)?.extract::<i64>());
    assert_eq!(three.expect("computed"), 3);
}
