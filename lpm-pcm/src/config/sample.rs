//! The configuration that is used when none is given: the sample LPM and its demo policy.

use std::env;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;

use lpm_host::trust::Requirements;
use lpm_host::{CallMode, Confinement, Isolation};

use super::lpm::{LpmEntry, LpmLocation};

/// The sample LPM with the policy embedded in it.
pub(super) fn entry() -> LpmEntry {
    LpmEntry {
        name: "sample".to_owned(),
        library: library().map_or(LpmLocation::BuiltInSample, LpmLocation::Library),
        requirements: Requirements::default(),
        optional: false,
        after: None,
        call_mode: CallMode::Inline,
        isolation: Isolation::None,
        confinement: Confinement::default(),
        result_time_limit: None,
        initialize_limit: None,
        deinitialize_limit: None,
        config: lpm_sample::DEMO_POLICY.to_owned(),
        config_source: "embedded demo policy".to_owned(),
        config_dir: None,
    }
}

/// The sample LPM's library: in the folder `deps` next to this program, where cargo builds it
/// together with the program; next to this program; or in `lib/lpm`, where packages put LPMs.
///
/// `deps` comes first: a copy that cargo has put next to the program may be older.
fn library() -> Option<PathBuf> {
    let file = format!("{DLL_PREFIX}lpm_sample{DLL_SUFFIX}");
    let program = env::current_exe().ok()?;
    let folder = program.parent()?;
    let installed = folder.parent().unwrap_or(folder).join("lib/lpm");
    let folders = [folder.join("deps"), folder.to_owned(), installed];
    let mut libraries = folders.into_iter().map(|folder| folder.join(&file));
    libraries.find(|library| library.is_file())
}
