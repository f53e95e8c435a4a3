//! `pcm explain`: why one message of a capture is decided as it is.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lpm_api::{Interface, Rate};
use lpm_identity::config::Config as IdentityConfig;
use lpm_identity::explain::{Holdings, Request};
use lpm_identity::ledger::Traffic;
use lpm_rsvp::FilterSpec;

use super::replay::run::aside;
use crate::config::{Config, LpmEntry};
use crate::integrity::Provenance;
use crate::output::asked::{Asked, Who};
use crate::output::flow::{FlowRecord, RefusedBy};
use crate::output::plain::Plain;
use crate::output::printer::Printer;
use crate::output::record::{Origin, Record};
use crate::output::time::rfc3339;
use crate::signals::Stop;

/// Explain why one message of a capture is decided as it is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Capture files, as for `pcm replay`: all messages before the one in question are decided, too
    #[arg(required = true, value_name = "CAPTURE")]
    pub captures: Vec<PathBuf>,

    /// Which LPMs to run (a pcm.toml); default: the sample LPM with its demo policy
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The number of the message: RSVP messages are counted from 1 over all captures
    #[arg(
        long,
        value_name = "NUMBER",
        required_unless_present = "packet",
        conflicts_with = "packet"
    )]
    pub message: Option<u64>,

    /// Or the number of its packet, as the table and Wireshark show it
    #[arg(long, value_name = "NUMBER")]
    pub packet: Option<u64>,

    /// Let debuggers and profilers find the source of the LPMs' code
    #[arg(long)]
    pub debug_lpms: bool,
}

/// Runs the command.
///
/// # Errors
/// What kept the run from starting or from its end; there is no such message.
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let mut config = Config::read_or_embedded(args.config.as_deref())?;
    config.debug_lpms = args.debug_lpms;
    super::replay::check(&args.captures)?;
    let found = Arc::new(AtomicU64::new(0));
    let printer = Explained {
        message: args.message,
        packet: args.packet,
        lpms: config.lpms.clone(),
        found: Arc::clone(&found),
        out: io::stdout(),
    };
    let stop = Stop::on_signals()?;
    let code = aside(
        &args.captures,
        &config,
        &stop,
        true,
        args.message,
        false,
        printer,
    )?;
    match found.load(Ordering::Relaxed) {
        0 => Err("the captures have no RSVP message with this number".into()),
        _ => Ok(code),
    }
}

/// Prints what is said of one message, or of the messages in one packet.
struct Explained {
    message: Option<u64>,
    packet: Option<u64>,
    lpms: Vec<LpmEntry>,
    found: Arc<AtomicU64>,
    out: io::Stdout,
}

impl Explained {
    fn is_it(&self, number: u64, origin: &Origin) -> bool {
        let is_it = match (self.message, self.packet) {
            (Some(message), _) => number == message,
            (_, packet) => packet == Some(origin.packet),
        };
        if is_it {
            self.found.fetch_add(1, Ordering::Relaxed);
        }
        is_it
    }

    fn undecided(&mut self, number: u64, origin: &Origin, what: &str) -> io::Result<()> {
        if !self.is_it(number, origin) {
            return Ok(());
        }
        writeln!(self.out, "{}", heading(number, origin, "RSVP message"))?;
        writeln!(self.out, "  {}", Plain(what))
    }
}

impl Printer for Explained {
    fn print(&mut self, record: &Record<'_>) -> io::Result<()> {
        match record {
            Record::Decision {
                number,
                origin,
                message,
                interface,
                session,
                integrity,
                who,
                previous_hop,
                flows,
                ..
            } => {
                if !self.is_it(*number, origin) {
                    return Ok(());
                }
                writeln!(
                    self.out,
                    "{}",
                    heading(*number, origin, &message.to_string())
                )?;
                if let Some(session) = session {
                    writeln!(self.out, "  session: {session}")?;
                }
                writeln!(self.out, "  who asks: {who}")?;
                if let Some(hop) = previous_hop {
                    writeln!(self.out, "  previous hop: {hop}")?;
                }
                let integrity = match integrity {
                    Provenance::Unsigned => "not signed",
                    Provenance::NotVerified => "signed, not verified",
                    Provenance::Verified => "signed and verified",
                };
                writeln!(self.out, "  came in on interface {interface}, {integrity}")?;
                if flows.is_empty() {
                    return writeln!(self.out, "  not for policy to decide");
                }
                for flow in *flows {
                    write!(self.out, "{}", about(flow))?;
                    let here = Here {
                        who,
                        interface: *interface,
                        origin,
                    };
                    write!(self.out, "{}", road(&self.lpms, flow, &here))?;
                }
                Ok(())
            }
            Record::Malformed {
                number,
                origin,
                offset,
                error,
                ..
            } => self.undecided(
                *number,
                origin,
                &format!("malformed at offset {offset}: {error}"),
            ),
            Record::Unsupported {
                number,
                origin,
                error,
                ..
            } => self.undecided(*number, origin, &format!("not for this PCM: {error}")),
            Record::Refused {
                number,
                origin,
                error,
                ..
            } => self.undecided(*number, origin, &format!("not to be trusted: {error}")),
            Record::Outgoing { number, origin, .. } => {
                self.undecided(*number, origin, "sent by this node: not decided")
            }
            Record::Event {
                lpm,
                detail,
                message: Some(message),
                ..
            } if self.message == Some(message.number)
                || self.packet == Some(message.origin.packet) =>
            {
                let lpm = lpm.map_or(String::new(), |lpm| format!("LPM {lpm}: "));
                writeln!(self.out, "event: {}{}", Plain(&lpm), Plain(detail))
            }
            _ => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn heading(number: u64, origin: &Origin, what: &str) -> String {
    let Origin {
        capture,
        packet,
        time,
        source,
        destination,
    } = origin;
    format!(
        "message {number}: {what}, {source} > {destination}, packet {packet} of {} at {}",
        Plain(capture),
        rfc3339(*time)
    )
}

/// A flow, what it asks for, and what is decided.
fn about(flow: &FlowRecord<'_>) -> String {
    let senders: Vec<_> = flow.senders.iter().map(FilterSpec::to_string).collect();
    let senders = match &senders[..] {
        [] => "any sender".to_owned(),
        senders => senders.join(", "),
    };
    // A String takes everything.
    let mut text = format!("  flow {}: {senders}\n", flow.index + 1);
    if let Some(asked) = &flow.asked {
        let _ = writeln!(text, "    asks for: {}", what_for(asked));
    }
    let by = match flow.refused_by {
        Some(RefusedBy::Sbm) => "the SBM",
        _ => flow.by.unwrap_or("nobody"),
    };
    let _ = write!(text, "    decision: {}", flow.outcome.name());
    let _ = match flow.refused_by {
        Some(_) => write!(text, " {}/{}", flow.error_code, flow.error_value),
        None => write!(text, ", priority {}", flow.lpv),
    };
    let _ = write!(text, ", by {}", Plain(by));
    if let Some(reason) = flow.reason {
        let _ = write!(text, ": {reason}");
    }
    text.push('\n');
    if let Some(why) = &flow.why {
        let _ = writeln!(text, "    why: {}", Plain(why));
    }
    text
}

fn what_for(asked: &Asked<'_>) -> String {
    let rate = |rate: Option<f32>| match rate {
        None => "none".to_owned(),
        Some(rate) if rate.is_infinite() => "unbounded".to_owned(),
        Some(rate) => Rate::in_words(rate),
    };
    let service = match asked.service() {
        Some("controlled_load") => ", controlled load",
        Some("guaranteed") => ", guaranteed",
        Some(_) => ", null service",
        None => "",
    };
    let (token, peak) = (rate(asked.rate()), rate(asked.peak_rate()));
    format!("rate {token}, peak rate {peak}{service}")
}

/// What else the road through a policy depends on.
struct Here<'a> {
    who: &'a Who<'a>,
    interface: u32,
    origin: &'a Origin,
}

/// Which section sets what, for LPMs whose configuration is a policy of the sample's or the
/// identity LPM's kind.
fn road(lpms: &[LpmEntry], flow: &FlowRecord<'_>, here: &Here<'_>) -> String {
    let mut text = String::new();
    let by = lpms.iter().filter(|lpm| Some(lpm.name.as_str()) == flow.by);
    for lpm in by {
        let folder = lpm.config_dir.as_deref().map(Path::new);
        let Ok(config) = IdentityConfig::read(&lpm.config, &lpm.config_source, folder) else {
            continue;
        };
        let (users, applications) = here.who.names();
        let rate = flow
            .asked
            .and_then(|asked| asked.rate())
            .unwrap_or_default();
        let peak_rate = flow
            .asked
            .and_then(|asked| asked.peak_rate())
            .unwrap_or(rate);
        let request = Request {
            user: users.first().map(|name| &**name),
            application: applications.first().map(|name| &**name),
            interface: Interface {
                index: here.interface,
                address: match here.origin.destination {
                    std::net::IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
                    std::net::IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
                },
            },
            received: here.origin.time,
            traffic: Traffic { rate, peak_rate },
            held: Holdings::default(),
        };
        let Ok(explanation) = config.policy.explain(&request) else {
            continue;
        };
        let name = Plain(&lpm.name);
        let _ = writeln!(text, "    the policy of {name}, where nothing is held yet:");
        for line in explanation.to_string().lines() {
            let _ = writeln!(text, "      {}", Plain(line));
        }
    }
    text
}
