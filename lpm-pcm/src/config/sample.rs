//! The configuration that is used when none is given: the sample LPM and its demo policy.

use std::env;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;

use lpm_host::CallMode;

use super::error::ConfigError;
use super::lpm::LpmEntry;

/// The sample LPM with the policy embedded in it.
pub(super) fn entry() -> Result<LpmEntry, ConfigError> {
    Ok(LpmEntry {
        name: "sample".to_owned(),
        library: library()?,
        optional: false,
        after: None,
        call_mode: CallMode::Inline,
        result_time_limit: None,
        initialize_limit: None,
        deinitialize_limit: None,
        config: lpm_sample::DEMO_POLICY.to_owned(),
        config_source: "embedded demo policy".to_owned(),
        config_dir: None,
    })
}

/// The sample LPM's library: in the folder `deps` next to this program, where cargo builds it
/// together with the program, or next to this program, where it is installed.
///
/// `deps` comes first: a copy that cargo has put next to the program may be older.
fn library() -> Result<PathBuf, ConfigError> {
    let file = format!("{DLL_PREFIX}lpm_sample{DLL_SUFFIX}");
    let program = env::current_exe().unwrap_or_default();
    let folder = program.parent().map(PathBuf::from).unwrap_or_default();
    let looked_in = vec![folder.join("deps"), folder];
    looked_in
        .iter()
        .map(|folder| folder.join(&file))
        .find(|library| library.is_file())
        .ok_or(ConfigError::NoSample { file, looked_in })
}
