//! Everything that is known about a library, as a table or as JSON.

use std::fmt::{Display, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use lpm_host::{Confinement, isolated};
use serde::Serialize;

use super::loaded::{Incompatible, Initialized, Lpm, Record, Unloaded};
use crate::child::End;
use crate::commands::library_facts::{HazardFact, LibraryFacts};
use crate::commands::trust_facts::{SignatureFact, TrustFacts};
use crate::output::plain::{self, Plain};

const CAUTION: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const HEADING: Style = Style::new().bold();

/// What is known about a library; what is not known is absent.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    library: String,
    size: Option<u64>,
    sha256: Option<String>,
    target: Option<String>,
    makers: Vec<String>,
    needed: Vec<String>,
    hazards: Vec<HazardFact>,
    exports_lpm: Option<bool>,
    trust: Option<TrustFacts>,
    process: Option<ProcessFacts>,
    lpm: Option<Lpm>,
    incompatible: Option<Incompatible>,
    initialized: Option<Initialized>,
    not_initialized: Option<String>,
    unloaded: Option<Unloaded>,
    /// Why it is no LPM that can be loaded here.
    problem: Option<String>,
}

/// What this system has for LPMs in processes of their own.
#[derive(Debug, Serialize)]
struct ProcessFacts {
    /// What it cannot do to confine one.
    lacks: Vec<String>,
}

impl Report {
    /// What its file tells.
    pub(super) fn of(library: &Path, facts: LibraryFacts) -> Self {
        let mut report = Self {
            library: library.display().to_string(),
            size: Some(facts.size),
            sha256: facts.sha256,
            target: Some(facts.target),
            makers: facts.makers,
            needed: facts.needed,
            hazards: facts.hazards,
            exports_lpm: facts.exports_lpm,
            trust: facts.trust,
            process: Some(ProcessFacts {
                lacks: isolated::lacks(&Confinement::strict()),
            }),
            ..Self::default()
        };
        if !report.may_be_lpm() {
            report.problem = Some(format!(
                "{} is not an LPM: it does not export what `export_lpm!` exports; build it as a `cdylib` with \
                 `lpm_api::export_lpm!`. An LPM in C exports the functions of lpmapi.h",
                report.library
            ));
        }
        report
    }

    /// That its file tells nothing.
    pub(super) fn unreadable(library: &Path, problem: &str) -> Self {
        Self {
            library: library.display().to_string(),
            problem: Some(problem.to_owned()),
            ..Self::default()
        }
    }

    /// Whether it is worth loading.
    pub(super) fn may_be_lpm(&self) -> bool {
        self.exports_lpm != Some(false)
    }

    /// Why it is no LPM that can be loaded here.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Adds what was found by loading it.
    pub(super) fn add(&mut self, record: Record) {
        match record {
            Record::Lpm(lpm) => self.lpm = Some(lpm),
            Record::Initialized(initialized) => self.initialized = Some(initialized),
            Record::NotInitialized(why) => self.not_initialized = Some(why),
            Record::Unloaded(unloaded) => self.unloaded = Some(unloaded),
            Record::NotLoaded(problem) => self.problem = Some(problem),
            Record::Incompatible(difference) => {
                self.problem = Some(format!(
                    "{} is incompatible with this host: {}: expected {}, found {}; {}",
                    self.library,
                    difference.what,
                    difference.expected,
                    difference.found,
                    difference.advice
                ));
                self.incompatible = Some(difference);
            }
        }
    }

    /// Adds how the process ended that loaded it.
    pub(super) fn ended(&mut self, end: End) {
        let how = match end {
            End::Well => return,
            End::Early(how) => format!("the process that loaded it {how}"),
            End::TookTooLong(limit) => {
                format!("the process that loaded it was ended after {limit:?}")
            }
        };
        let stage = match (&self.lpm, &self.initialized) {
            (None, _) => "before the library was loaded",
            (Some(_), None) => "while the LPM was initialized",
            (Some(_), Some(_)) => "while the LPM was deinitialized and unloaded",
        };
        self.problem = Some(format!("{}: {how} {stage}", self.library));
    }

    /// One object; the whole comparison of an incompatible library is in it where that is asked
    /// for.
    pub(super) fn json(&self, full: bool) -> serde_json::Result<String> {
        let mut object = serde_json::to_value(self)?;
        if let (false, Some(difference)) = (full, object["incompatible"].as_object_mut()) {
            difference.insert("report".to_owned(), serde_json::Value::Null);
        }
        Ok(plain::json(&object) + "\n")
    }

    /// Rows for people; nothing where nothing is known.
    pub(super) fn table(&self, full: bool) -> String {
        let mut table = Table::default();
        let Some(size) = self.size else {
            return String::new();
        };
        table.row("library", &self.library);
        table.row("size", format_args!("{size} bytes"));
        table.rows("SHA-256", self.sha256.iter());
        if let Some(trust) = &self.trust {
            table.trust(trust);
        }
        table.rows("target", self.target.iter());
        table.rows("made by", self.makers.iter());
        if !self.needed.is_empty() {
            table.row("needs", self.needed.join(", "));
        }
        match self.hazards.is_empty() {
            true => table.row("unloading", "nothing in the file hinders it"),
            false => {
                let texts = self.hazards.iter().map(|hazard| &hazard.text);
                table.styled("unloading", CAUTION, texts);
            }
        }
        match &self.process {
            Some(process) if process.lacks.is_empty() => table.row(
                "isolation",
                "in a process of its own it can be confined in all ways",
            ),
            Some(process) => table.styled("isolation", CAUTION, process.lacks.iter()),
            None => {}
        }
        if let Some(lpm) = &self.lpm {
            table.row("LPM", format!("{} {}", lpm.name, lpm.version).trim_end());
            table.rows("authors", lpm.authors.iter());
            let version = lpm.api_version;
            match &*lpm.lpm_api {
                "" => table.row("LPM API", format_args!("version {version} (lpmapi.h)")),
                package => table.row(
                    "LPM API",
                    format_args!("version {version} (lpm-api {package})"),
                ),
            }
        }
        if let Some(Initialized {
            pe_type,
            pe_type_name,
            extensions,
        }) = &self.initialized
        {
            table.row("PE type", format_args!("{pe_type} ({pe_type_name})"));
            match extensions.is_empty() {
                true => table.row("extensions", "none"),
                false => table.row("extensions", extensions.join(", ")),
            }
        }
        if let Some(why) = &self.not_initialized {
            let advice = "give the LPM its configuration with --config or --config-file";
            table.styled("not started", CAUTION, [why.as_str(), advice].iter());
        }
        if let Some(difference) = &self.incompatible {
            table.styled("differs", BAD, [&difference.what].into_iter());
            table.row("expected", &difference.expected);
            table.row("found", &difference.found);
            table.row("to do", &difference.advice);
            if full {
                table.rows("comparison", difference.report.lines());
            }
        }
        if let Some(unloaded) = &self.unloaded {
            match unloaded.reasons.is_empty() {
                true => table.row("unloaded", &unloaded.outcome),
                false => table.styled("unloaded", CAUTION, unloaded.reasons.iter()),
            }
        }
        table.0
    }
}

/// Rows of a name and a value; what comes from outside is made harmless.
#[derive(Default)]
struct Table(String);

impl Table {
    fn row(&mut self, name: &str, value: impl Display) {
        self.rows(name, std::iter::once(value));
    }

    fn trust(&mut self, trust: &TrustFacts) {
        match (trust.owner, &trust.others) {
            (Some(true), _) => self.row("written by", "root and this user only"),
            (Some(false), Some(others)) => {
                let refused = "it is refused where [trust] requires `owner`, as it does by default";
                self.styled("written by", CAUTION, [others.as_str(), refused].iter());
            }
            _ => {}
        }
        match (trust.signature, &trust.problem) {
            (SignatureFact::None, _) => self.row("signature", "none"),
            (SignatureFact::Unchecked, _) => {
                self.row("signature", "not checked: give the key with --key");
            }
            (SignatureFact::Valid, _) => self.row("signature", "by one of the keys given"),
            (SignatureFact::Refused, problem) => {
                self.styled("signature", BAD, problem.iter());
            }
        }
    }

    fn rows(&mut self, name: &str, values: impl Iterator<Item = impl Display>) {
        self.styled(name, Style::new(), values);
    }

    fn styled(&mut self, name: &str, style: Style, values: impl Iterator<Item = impl Display>) {
        for (position, value) in values.enumerate() {
            let name = if position == 0 { name } else { "" };
            let value = value.to_string();
            // Writing to a `String` does not fail.
            let _ = writeln!(
                self.0,
                "{HEADING}{name:12}{HEADING:#}{style}{}{style:#}",
                Plain(&value)
            );
        }
    }
}
