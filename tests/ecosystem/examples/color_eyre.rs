//! Installs the hooks of `color-eyre` and prints a report.
#![forbid(unsafe_code)]

use color_eyre::eyre::{WrapErr, eyre};

lpm_hazard::on_admit!(report);

fn report() {
    // Once for all threads that ask.
    let _ = color_eyre::install();
    let error = Err::<(), _>(eyre!("inner"))
        .wrap_err("outer")
        .expect_err("an error");
    assert!(format!("{error:?}").contains("outer"));
}
