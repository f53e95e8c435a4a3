//! `pcm diff`: which decisions another configuration would change.
//!
//! The captures are decided twice, first as the one configuration says, then as the other; what the
//! first run decided is kept, a few bytes a flow, and compared as the second one goes on.

mod compare;
mod decided;

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use self::compare::{Compare, Found};
use self::decided::{Decided, Flows, Shared, told};
use super::replay::Format;
use super::replay::run::aside;
use crate::config::Config;
use crate::output::plain;
use crate::output::printer::Printer;
use crate::output::record::Record;
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
    let compare = Compare::new(kept, found.clone(), args.format);
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
