//! `pcm diff`: which decisions another configuration would change.
//!
//! The captures are decided twice, first as the one configuration says, then as the other; what the
//! first run decided is kept, a few bytes a flow, and compared as the second one goes on.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::mem;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::{HashMap, HashMapExt};
use lpm_host::Outcome;
use lpm_rsvp::{FilterSpec, MessageType, Session};
use serde::Serialize;
use smallvec::SmallVec;

use super::counted;
use super::replay::Format;
use super::replay::run::aside;
use crate::config::Config;
use crate::output::plain::{self, Plain, write_json};
use crate::output::printer::Printer;
use crate::output::record::{FlowRecord, Origin, Record, RefusedBy};
use crate::output::time::rfc3339;
use crate::signals::Stop;

/// Show which decisions another configuration would change.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status:
  0    no decision changes
  1    some decisions change
  2    wrong usage, or a run could not be made")]
pub struct Args {
    /// Capture files, as for `pcm replay`
    #[arg(required = true, value_name = "CAPTURE")]
    pub captures: Vec<PathBuf>,

    /// The configurations (pcm.toml): the one in force, and the one to be compared with it
    #[arg(long, value_name = "FILE", required = true)]
    pub config: Vec<PathBuf>,

    /// How to print what is different
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Format,
}

/// Runs the command.
///
/// # Errors
/// None: what kept a run from its end is told here, since the exit status means something else.
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    Ok(match differences(args) {
        Ok(Some(0)) => ExitCode::SUCCESS,
        Ok(Some(_)) => ExitCode::FAILURE,
        Ok(None) => ExitCode::from(2),
        Err(error) => {
            for line in error.to_string().lines() {
                plain::tell(line);
            }
            ExitCode::from(2)
        }
    })
}

/// How many flows are decided otherwise; `None` if a run was not made to its end, which is told.
fn differences(args: &Args) -> Result<Option<u64>, Box<dyn Error>> {
    let [old, new] = &args.config[..] else {
        return Err(
            "expected --config twice: the configuration in force, and the one to compare with it"
                .into(),
        );
    };
    if args
        .captures
        .iter()
        .any(|capture| capture.as_os_str() == "-")
    {
        return Err(
            "captures are read twice, but standard input can be read only once; give a file".into(),
        );
    }
    super::replay::check(&args.captures)?;
    let (old, new) = (Config::read(old)?, Config::read(new)?);
    let stop = Stop::on_signals()?;

    let kept = Shared::default();
    let keep = Keep {
        kept: kept.clone(),
        which: "old",
    };
    if !decide(args, &old, keep, &stop)? {
        return Ok(None);
    }
    let kept = kept.take();
    let found = Shared::default();
    let compare = Compare {
        old: kept,
        seen: HashMap::new(),
        found: found.clone(),
        format: args.format,
        out: BufWriter::new(io::stdout()),
    };
    if !decide(args, &new, compare, &stop)? {
        return Ok(None);
    }
    let found: Found = found.take();
    found.print(args.format)?;
    Ok(Some(found.flows))
}

/// Decides the captures as a configuration says; whether to their end.
fn decide(
    args: &Args,
    config: &Config,
    printer: impl Printer + 'static,
    stop: &Stop,
) -> Result<bool, Box<dyn Error>> {
    let code = aside(&args.captures, config, stop, false, None, true, printer)?;
    Ok(code == ExitCode::SUCCESS && !stop.is_asked_for())
}

/// What printer and command share.
#[derive(Default)]
struct Shared<T>(Arc<Mutex<T>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Default> Shared<T> {
    fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self) -> T {
        self.with(mem::take)
    }
}

/// What became of a flow.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Decided {
    outcome: &'static str,
    lpv: u32,
    error_code: u16,
    error_value: u16,
    refused_by: Option<RefusedBy>,
}

/// The flows of a message; none for one that is not decided.
type Flows = SmallVec<[Decided; 1]>;

impl Decided {
    fn of(flow: &FlowRecord<'_>) -> Self {
        Self {
            outcome: flow.outcome.name(),
            lpv: flow.lpv,
            error_code: flow.error_code,
            error_value: flow.error_value,
            refused_by: flow.refused_by,
        }
    }

    /// A message that is not to be trusted, or is sent by nobody who may.
    const REFUSED: Self = Self {
        outcome: "refused",
        lpv: 0,
        error_code: 0,
        error_value: 0,
        refused_by: None,
    };

    fn words(&self) -> String {
        let Self {
            outcome,
            lpv,
            error_code,
            error_value,
            refused_by,
        } = self;
        match refused_by {
            Some(RefusedBy::Sbm) => format!("reject {error_code}/{error_value} (sbm)"),
            Some(_) => format!("reject {error_code}/{error_value}"),
            None if *outcome == Outcome::Accept.name() => format!("accept, priority {lpv}"),
            None => outcome.replace('_', " "),
        }
    }
}

/// Keeps what is decided.
struct Keep {
    kept: Shared<Vec<Flows>>,
    which: &'static str,
}

impl Printer for Keep {
    fn print(&mut self, record: &Record<'_>) -> io::Result<()> {
        let (number, flows) = match record {
            Record::Decision { number, flows, .. } => {
                (number, flows.iter().map(Decided::of).collect())
            }
            Record::Refused { number, .. } => (number, Flows::from_elem(Decided::REFUSED, 1)),
            other => return told(self.which, other),
        };
        self.kept.with(|kept| {
            let place = usize::try_from(*number).unwrap_or(usize::MAX);
            if kept.len() < place {
                kept.resize(place, Flows::new());
            }
            kept[place - 1] = flows;
        });
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells warnings and errors of a run.
fn told(which: &str, record: &Record<'_>) -> io::Result<()> {
    if let Record::Event {
        severity,
        lpm,
        detail,
        ..
    } = record
    {
        if *severity != "info" {
            let lpm = lpm.map_or(String::new(), |lpm| format!("LPM {lpm}: "));
            anstream::eprintln!("{which}: {severity}: {}{}", Plain(&lpm), Plain(detail));
        }
    }
    Ok(())
}

/// What is different.
#[derive(Default)]
struct Found {
    messages: u64,
    decisions: u64,
    flows: u64,
    users: BTreeMap<String, OfUser>,
}

/// How many flows of somebody are decided otherwise.
#[derive(Default)]
struct OfUser {
    no_more: u64,
    now: u64,
    otherwise: u64,
}

/// A flow, as its refreshes name it.
type Key = (u8, Option<Session>, SmallVec<[FilterSpec; 1]>);

/// Compares what is decided with what was kept.
struct Compare {
    old: Vec<Flows>,
    /// What was said of a flow last.
    seen: HashMap<Key, (Decided, Decided)>,
    found: Shared<Found>,
    format: Format,
    out: BufWriter<io::Stdout>,
}

/// A difference, for programs.
#[derive(Serialize)]
#[serde(tag = "type", rename = "difference")]
struct Difference<'a> {
    number: u64,
    #[serde(flatten)]
    origin: &'a Origin,
    message: String,
    session: Option<String>,
    filter: Option<String>,
    users: Vec<String>,
    applications: Vec<String>,
    old: Decided,
    new: Decided,
    why: Option<&'a str>,
}

impl Compare {
    /// A message comes: what was decided about its flows before.
    fn old_flows(&mut self, number: u64) -> Flows {
        self.found.with(|found| found.messages += 1);
        let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
        self.old.get_mut(place).map(mem::take).unwrap_or_default()
    }

    fn differs(
        &mut self,
        old: &Decided,
        new: Decided,
        flow: Option<&FlowRecord<'_>>,
        difference: Difference<'_>,
        key: Key,
        counted: &[String],
    ) -> io::Result<()> {
        self.found.with(|found| found.decisions += 1);
        let now = (old.clone(), new.clone());
        if self.seen.get(&key) == Some(&now) {
            // A refresh of what was said.
            return Ok(());
        }
        self.seen.insert(key, now);
        let accepts = |decided: &Decided| decided.outcome == Outcome::Accept.name();
        self.found.with(|found| {
            found.flows += 1;
            for user in counted {
                let of_user = found.users.entry(user.clone()).or_default();
                *match (accepts(old), accepts(&new)) {
                    (true, false) => &mut of_user.no_more,
                    (false, true) => &mut of_user.now,
                    _ => &mut of_user.otherwise,
                } += 1;
            }
        });
        match self.format {
            Format::Json => {
                write_json(&mut self.out, &difference)?;
                writeln!(self.out)
            }
            Format::Table => {
                let Difference {
                    number,
                    origin,
                    message,
                    session,
                    filter,
                    ..
                } = &difference;
                let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
                writeln!(
                    self.out,
                    "message {number} (packet {} of {} at {}): {message} {}, {}, {}",
                    origin.packet,
                    Plain(&origin.capture),
                    rfc3339(origin.time),
                    text(session),
                    text(filter),
                    Plain(&counted.join(", ")),
                )?;
                write!(self.out, "  {} > {}", old.words(), new.words())?;
                let reason = flow
                    .and_then(|flow| flow.reason)
                    .map(|reason| reason.to_string());
                match flow
                    .and_then(|flow| flow.why.as_deref())
                    .or(reason.as_deref())
                {
                    Some(why) => writeln!(self.out, ": {}", Plain(why)),
                    None => writeln!(self.out),
                }
            }
        }
    }
}

impl Printer for Compare {
    fn print(&mut self, record: &Record<'_>) -> io::Result<()> {
        match record {
            Record::Decision {
                number,
                origin,
                message,
                session,
                who,
                flows,
                ..
            } => {
                let old = self.old_flows(*number);
                for (position, flow) in flows.iter().enumerate() {
                    let refused = old.first().filter(|old| **old == Decided::REFUSED);
                    let Some(old) = old.get(position).or(refused) else {
                        continue;
                    };
                    let new = Decided::of(flow);
                    let key = key(*message, *session, &flow.senders);
                    if *old == new {
                        self.seen.remove(&key);
                        continue;
                    }
                    let (users, applications) = who.names();
                    let users: Vec<_> = users.into_iter().map(Cow::into_owned).collect();
                    let applications = applications.into_iter().map(Cow::into_owned);
                    let applications: Vec<_> = applications.collect();
                    let mut counted = [users.clone(), applications.clone()].concat();
                    if counted.is_empty() {
                        counted.push("(no user)".to_owned());
                    }
                    let senders = flow.senders.iter().map(FilterSpec::to_string);
                    let senders: Vec<_> = senders.collect();
                    let difference = Difference {
                        number: *number,
                        origin,
                        message: message.to_string(),
                        session: session.map(|session| session.to_string()),
                        filter: (!senders.is_empty()).then(|| senders.join(", ")),
                        users,
                        applications,
                        old: old.clone(),
                        new: new.clone(),
                        why: flow.why.as_deref(),
                    };
                    self.differs(old, new, Some(flow), difference, key, &counted)?;
                }
                Ok(())
            }
            Record::Refused {
                number,
                origin,
                message,
                session,
                ..
            } => {
                let old = self.old_flows(*number);
                let Some(old) = old.first().filter(|old| **old != Decided::REFUSED) else {
                    return Ok(());
                };
                let difference = Difference {
                    number: *number,
                    origin,
                    message: message.to_string(),
                    session: session.map(|session| session.to_string()),
                    filter: None,
                    users: Vec::new(),
                    applications: Vec::new(),
                    old: old.clone(),
                    new: Decided::REFUSED,
                    why: None,
                };
                let key = key(*message, *session, &[]);
                let counted = ["(not to be trusted)".to_owned()];
                self.differs(old, Decided::REFUSED, None, difference, key, &counted)
            }
            other => told("new", other),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn key(message: MessageType, session: Option<Session>, senders: &[FilterSpec]) -> Key {
    (message.number(), session, senders.into())
}

impl Found {
    fn print(&self, format: Format) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let Self {
            messages,
            decisions,
            flows,
            users,
        } = self;
        for (name, of_user) in users {
            let OfUser {
                no_more,
                now,
                otherwise,
            } = of_user;
            match format {
                Format::Table => writeln!(
                    out,
                    "{}: {no_more} flows no longer accepted, {now} accepted now, {otherwise} changed in another way",
                    Plain(name)
                )?,
                Format::Json => {
                    let record = serde_json::json!({
                        "type": "tally", "name": name, "no_more": no_more, "now": now,
                        "otherwise": otherwise,
                    });
                    writeln!(out, "{record}")?;
                }
            }
        }
        match format {
            Format::Table => writeln!(
                out,
                "{} decided differently, in {} on {}",
                counted(*flows, "flow"),
                counted(*decisions, "decision"),
                counted(*messages, "message"),
            ),
            Format::Json => {
                let record = serde_json::json!({
                    "type": "summary", "messages": messages, "decisions": decisions, "flows": flows,
                });
                writeln!(out, "{record}")
            }
        }
    }
}
