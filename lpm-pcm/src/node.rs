//! A PCM as configured, for every command that runs one: its LPMs, and where its events go.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;

use anstream::AutoStream;
use lpm_host::error::BuildError;
use lpm_host::event::{Event, EventId, EventLog};
use lpm_host::{LpmConfig, LpmSource, Pcm};
use lpm_sample::SampleLpm;

use crate::config::{Config, EventsEntry, LpmEntry, LpmLocation};
use crate::events::{Events, Tell};
use crate::output::progress::Progress;
use crate::output::reporter::Reporter;
use crate::{secrets, sum};

/// The output, and the sinks that the configuration names.
pub struct Logs {
    /// The output.
    pub reporter: Arc<Reporter>,
    /// The sinks.
    pub events: Events,
    /// By the name of an LPM: which code and which configuration it is.
    pub sums: HashMap<String, String>,
}

impl EventLog for Logs {
    fn record(&self, event: &Event) {
        let mut event = Cow::Borrowed(event);
        if let Cow::Owned(detail) = secrets::hide(&event.detail) {
            event.to_mut().detail = detail;
        }
        if event.id == EventId::LpmInitialized {
            let name = event.lpm.as_deref().unwrap_or_default();
            if let Some(sums) = self.sums.get(name) {
                let detail = format!("{}; {sums}", event.detail);
                event.to_mut().detail = detail;
            }
        }
        self.events.record(&event, self.reporter.message().as_ref());
        self.reporter.record(&event);
    }
}

/// The PCM, not yet in charge, with its events going to `events`.
///
/// # Errors
/// As `PcmBuilder::build`.
pub fn pcm(config: &Config, events: impl EventLog + 'static) -> Result<Pcm, BuildError> {
    let mut builder = Pcm::builder().event_log(events);
    for entry in &config.lpms {
        builder = builder.lpm(lpm(entry));
    }
    builder.build()
}

/// What an audit has to know of each LPM, by its name: the SHA-256 of its library, as it is before it
/// is loaded, and of its configuration. Nothing where no events are kept.
#[must_use]
pub fn sums(config: &Config) -> HashMap<String, String> {
    if config.events.is_empty() {
        return HashMap::new();
    }
    let lpms = config.lpms.iter();
    let sums = lpms.map(|lpm| {
        let library = match &lpm.library {
            LpmLocation::Library(path) => sum::of_file(path).ok(),
            LpmLocation::BuiltInSample => None,
        };
        let library = library.map_or_else(String::new, |sum| format!("library SHA-256 {sum}, "));
        let sums = format!(
            "{library}configuration SHA-256 {}",
            sum::of_text(&lpm.config)
        );
        (lpm.name.clone(), sums)
    });
    sums.collect()
}

/// Starts the sinks; what is wrong with them is said on standard error.
///
/// # Errors
/// As [`Events::start`].
pub fn events(entries: &[EventsEntry], progress: &Progress) -> Result<Events, Box<dyn Error>> {
    let beside = progress.clone();
    let tell: Tell = Arc::new(move |what| beside.pause(|| anstream::eprintln!("pcm: {what}")));
    Ok(Events::start(entries, || stderr(progress), &tell)?)
}

/// Standard error, beside a progress bar.
#[must_use]
pub fn stderr(progress: &Progress) -> Box<dyn Write + Send> {
    Box::new(progress.beside(AutoStream::auto(io::stderr())))
}

/// An LPM as configured.
#[must_use]
pub fn lpm(entry: &LpmEntry) -> LpmConfig {
    // Native code can do whatever this process can. That the operator names a library in the
    // configuration (or has not replaced the sample LPM next to this program) is the word that it
    // may: the one place where this program vouches for code.
    let source = match &entry.library {
        LpmLocation::Library(path) => {
            let library = lpm_host::trust_library!(unsafe path.clone());
            LpmSource::from(library.require(entry.requirements.clone()))
        }
        LpmLocation::BuiltInSample => LpmSource::built_in::<SampleLpm>(),
    };
    let mut lpm = LpmConfig::new(entry.name.as_str(), source)
        .config(entry.config.as_str())
        .config_source(entry.config_source.as_str())
        .optional(entry.optional)
        .call_mode(entry.call_mode);
    if let Some(folder) = &entry.config_dir {
        lpm = lpm.config_dir(folder);
    }
    if let Some(others) = &entry.after {
        lpm = lpm.after(others.iter().map(String::as_str));
    }
    if let Some(limit) = entry.result_time_limit {
        lpm = lpm.result_time_limit(limit);
    }
    if let Some(limit) = entry.initialize_limit {
        lpm = lpm.initialize_limit(limit);
    }
    if let Some(limit) = entry.deinitialize_limit {
        lpm = lpm.deinitialize_limit(limit);
    }
    lpm
}
