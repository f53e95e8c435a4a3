//! Installs `env_logger` for the library, and logs.
#![forbid(unsafe_code)]

use std::sync::Once;

lpm_hazard::on_admit!(log);

fn log() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        env_logger::Builder::new()
            .filter_level(log::LevelFilter::Error)
            .init();
    });
    log::info!("not shown");
}
