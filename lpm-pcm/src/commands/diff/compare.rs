//! What another run decides otherwise.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::mem;

use foldhash::{HashMap, HashMapExt};
use lpm_host::Outcome;
use lpm_rsvp::{FilterSpec, MessageType, Session};
use serde::Serialize;
use smallvec::SmallVec;

use super::decided::{Decided, Flows, Shared, told};
use crate::commands::counted;
use crate::commands::replay::Format;
use crate::output::flow::FlowRecord;
use crate::output::plain::{Plain, write_json};
use crate::output::printer::Printer;
use crate::output::record::{Origin, Record};
use crate::output::time::rfc3339;

/// What is different.
#[derive(Default)]
pub(super) struct Found {
    messages: u64,
    decisions: u64,
    pub(super) flows: u64,
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
pub(super) struct Compare {
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
    /// Compares with what the first run decided, message by message.
    pub(super) fn new(old: Vec<Flows>, found: Shared<Found>, format: Format) -> Self {
        Self {
            old,
            seen: HashMap::new(),
            found,
            format,
            out: BufWriter::new(io::stdout()),
        }
    }

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
    pub(super) fn print(&self, format: Format) -> io::Result<()> {
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
