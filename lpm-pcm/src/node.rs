//! A PCM as configured, for every command that runs one: its LPMs, and where its events go.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use anstream::AutoStream;
use lpm_host::error::BuildError;
use lpm_host::event::{Event, EventId, EventLog};
use lpm_host::{InitializedLpm, LpmConfig, LpmSource, Pcm};
use lpm_sample::SampleLpm;

use crate::config::{Config, EventsEntry, LpmEntry, LpmLocation};
use crate::events::{Events, Tell};
use crate::output::pe_type::PeType;
use crate::output::plain;
use crate::output::progress::Progress;
use crate::output::reporter::Reporter;
use crate::{secrets, sum};

/// The output, and the sinks that the configuration names.
pub struct Logs {
    /// The output.
    pub reporter: Arc<Reporter>,
    /// The sinks.
    pub events: Events,
    /// What an audit has to know.
    pub sums: Sums,
}

impl EventLog for Logs {
    fn record(&self, event: &Event) {
        let event = self.sums.told(event);
        self.events.record(&event, self.reporter.message().as_ref());
        self.reporter.record(&event);
    }
}

/// By the name of an LPM: which code, which configuration and which policy it is.
#[derive(Debug, Default)]
pub struct Sums(RwLock<HashMap<String, String>>);

impl Sums {
    /// The SHA-256 of each LPM's library, as it is before it is loaded, of its configuration, and
    /// of the policy file that this names. Nothing where no events are kept.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let sums = Self::default();
        sums.renew(config);
        sums
    }

    /// The same of another configuration, whose LPMs are about to be initialized.
    pub fn renew(&self, config: &Config) {
        if config.events.is_empty() {
            return;
        }
        let sums = config.lpms.iter().map(|lpm| {
            let library = match &lpm.library {
                LpmLocation::Library(path) => sum::of_file(path).ok(),
                LpmLocation::BuiltInSample => None,
            };
            let library =
                library.map_or_else(String::new, |sum| format!("library SHA-256 {sum}, "));
            let configuration = sum::of_text(&lpm.config);
            let policy = policy_sum(lpm);
            let policy = policy.map_or_else(String::new, |sum| format!(", policy SHA-256 {sum}"));
            let sums = format!("{library}configuration SHA-256 {configuration}{policy}");
            (lpm.name.clone(), sums)
        });
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = sums.collect();
    }

    /// An event as it is told: without passwords, and with the sums of an LPM that is initialized.
    #[must_use]
    pub fn told<'a>(&self, event: &'a Event) -> Cow<'a, Event> {
        let mut event = Cow::Borrowed(event);
        if let Cow::Owned(detail) = secrets::hide(&event.detail) {
            event.to_mut().detail = detail;
        }
        if event.id == EventId::LpmInitialized {
            let name = event.lpm.as_deref().unwrap_or_default();
            let sums = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(sums) = sums.get(name) {
                let detail = format!("{}; {sums}", event.detail);
                event.to_mut().detail = detail;
            }
        }
        event
    }
}

/// The SHA-256 of the file that the sample LPM and the identity LPM read their policy from, where
/// the configuration names one.
fn policy_sum(lpm: &LpmEntry) -> Option<String> {
    let config: toml::Table = lpm.config.parse().ok()?;
    let file = config.get("policy_file")?.as_str()?;
    let folder = lpm.config_dir.as_deref().unwrap_or(Path::new(""));
    let path = folder.join(file);
    // To open a FIFO would wait for a writer.
    path.is_file().then(|| sum::of_file(&path).ok())?
}

/// Which LPM was initialized, for what, and where it comes from.
pub(crate) fn told(lpm: &InitializedLpm) -> String {
    let pe_type = PeType(lpm.pe_type.p_type());
    format!("LPM {}: {pe_type}, {}", lpm.name, lpm.source)
}

/// The PCM, not yet in charge, with its events going to `events`.
///
/// # Errors
/// As `PcmBuilder::build`.
pub fn pcm(config: &Config, events: impl EventLog + 'static) -> Result<Pcm, BuildError> {
    let mut builder = Pcm::builder()
        .event_log(events)
        .debuggable(config.debug_lpms);
    for entry in &config.lpms {
        builder = builder.lpm(lpm(entry));
    }
    builder.build()
}

/// Starts the sinks; what is wrong with them is said on standard error.
///
/// # Errors
/// As [`Events::start`].
pub fn events(entries: &[EventsEntry], progress: &Progress) -> Result<Events, Box<dyn Error>> {
    let beside = progress.clone();
    let tell: Tell = Arc::new(move |what| beside.pause(|| plain::tell(what)));
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
        .call_mode(entry.call_mode)
        .isolation(entry.isolation)
        .confine(entry.confinement.clone());
    if let Some(sum) = policy_sum(entry) {
        lpm = lpm.config_version(sum);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_with_sums_and_without_passwords() {
        let text = "[[lpm]]\nname = 'a'\nlibrary = 'absent.so'\nconfig = '8-18'\n[[events]]\nto = 'stderr'\n";
        let config = Config::parse(Path::new("pcm.toml"), text).unwrap();
        let sums = Sums::of(&config);
        let event = |id, detail: &str| {
            let event = Event::new(id, detail).lpm("a".into());
            sums.told(&event).detail.clone()
        };
        let said = event(EventId::LpmInitialized, "redis://pcm:geheim@counter");
        let sum = sum::of_text("8-18");
        assert_eq!(
            said,
            format!("redis://pcm:***@counter; configuration SHA-256 {sum}")
        );
        let said = event(EventId::LpmCallFailed, "redis://pcm:geheim@counter");
        assert_eq!(said, "redis://pcm:***@counter");
        // After a reload they are those of what runs then.
        let text = text.replace("8-18", "9-17");
        sums.renew(&Config::parse(Path::new("pcm.toml"), &text).unwrap());
        let said = event(EventId::LpmInitialized, "again");
        let sum = sum::of_text("9-17");
        assert_eq!(said, format!("again; configuration SHA-256 {sum}"));
    }

    #[test]
    fn an_lpm_is_another_one_when_its_policy_file_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pcm.toml");
        let policy = folder.path().join("policy.toml");
        let text = "[[lpm]]\nname = 'a'\nlibrary = 'x'\nconfig = 'policy_file = \"policy.toml\"'\n";
        let read = || lpm(&Config::parse(&path, text).unwrap().lpms[0]);
        let before = read();
        std::fs::write(&policy, "[default]\npriority = 1\n").unwrap();
        let first = read();
        assert_ne!(first, before);
        assert_eq!(read(), first);
        std::fs::write(&policy, "[default]\npriority = 2\n").unwrap();
        assert_ne!(read(), first);
        std::fs::remove_file(&policy).unwrap();
        assert_eq!(read(), before);
    }
}
