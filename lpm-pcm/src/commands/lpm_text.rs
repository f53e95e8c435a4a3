//! The configuration of an LPM on the command line.

use std::error::Error;
use std::path::PathBuf;

use lpm_host::LpmConfig;
use serde::{Deserialize, Serialize};

use crate::text_file;

/// Options for the configuration of an LPM.
#[derive(Debug, clap::Args)]
pub struct LpmTextArgs {
    /// The LPM's configuration, as its text; default: empty
    #[arg(long = "config", value_name = "TEXT")]
    pub text: Vec<String>,

    /// The same from a file; relative paths in it are meant from the file's folder
    #[arg(long = "config-file", value_name = "FILE", conflicts_with = "text")]
    pub files: Vec<PathBuf>,
}

/// The configuration of one LPM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LpmText {
    text: String,
    source: Option<String>,
    dir: Option<PathBuf>,
}

impl LpmTextArgs {
    /// The configurations, in order.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read(&self) -> Result<Vec<LpmText>, Box<dyn Error>> {
        let texts = self.text.iter().map(|text| {
            Ok(LpmText {
                text: text.clone(),
                ..LpmText::default()
            })
        });
        let files = self.files.iter().map(|path| {
            let text = text_file::read(path)
                .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
            // An absolute one, since the child may be elsewhere.
            let dir = std::path::absolute(path)?.parent().map(PathBuf::from);
            let source = Some(path.display().to_string());
            Ok(LpmText { text, source, dir })
        });
        texts.chain(files).collect()
    }
}

impl LpmText {
    /// Gives the LPM this configuration.
    pub(crate) fn configure(&self, lpm: LpmConfig) -> LpmConfig {
        let source = self.source.as_deref().unwrap_or("--config");
        let lpm = lpm.config(self.text.as_str()).config_source(source);
        match &self.dir {
            Some(dir) => lpm.config_dir(dir),
            None => lpm,
        }
    }
}
