//! `pcm lab`: a sender, a router with `pcm run`, and a receiver, each in a network namespace, and
//! what a reservation does to the throughput of two flows.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

#[cfg(target_os = "linux")]
mod ends;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod plot;

/// Show in network namespaces what a reservation does.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How long each of the three parts lasts, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub seconds: u32,

    /// Also draw the plot into this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

pub(crate) const LONG_ABOUT: &str = "\
Show in network namespaces what a reservation does.

Makes a sender, a router and a receiver, runs `pcm run` on the router with the sample LPM, and sends two flows of 12 Mbit/s \
each: Bob's and Eve's. In the second part Bob's flow asks for 8 Mbit/s, and gets them; Eve's asks, too, and is refused by \
policy. With the first reservation the router limits the link to 10 Mbit/s. In the third part Bob's reservation is torn down. Prints the throughput of both over time. Nothing \
outside the namespaces is touched, and they are gone in the end. Linux only; needs root and iproute2.";

/// Runs the command.
///
/// # Errors
/// The network cannot be made, or does not do what it should.
#[cfg(not(target_os = "linux"))]
pub fn run(_: &Args) -> Result<ExitCode, Box<dyn Error>> {
    Err("lab needs Linux: network namespaces are its kernel's".into())
}

/// Runs the command.
///
/// # Errors
/// The network cannot be made, or does not do what it should.
#[cfg(target_os = "linux")]
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    linux::run(args)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::error::Error;
    use std::fs;
    use std::io::Write;
    use std::process::ExitCode;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use signal_hook::consts::{SIGINT, SIGTERM};

    use super::Args;
    use super::ends::{BOB, EVE, Ends, Traffic};
    use super::network::Network;
    use super::plot::{Part, Plot};

    pub(super) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stop))?;
        }
        let network = Network::make()?;
        let router = network.run_pcm()?;
        let ends = Ends::open(&network)?;
        let length = Duration::from_secs(args.seconds.into());
        let began = Instant::now();
        let traffic = Traffic::start(&network, began, length * 3)?;
        let wait_until = |end: Duration| {
            while began.elapsed() < end && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
            !stop.load(Ordering::Relaxed)
        };
        let mut parts = vec![Part::new(
            Duration::ZERO,
            "nothing is reserved, and the link not limited",
        )];
        let mut part = |text: String| {
            anstream::println!("{:>5.1} s: {text}", began.elapsed().as_secs_f64());
            parts.push(Part::new(began.elapsed(), text));
        };
        anstream::println!("  0.0 s: {BOB} and {EVE} send 12 Mbit/s each");
        if !wait_until(length) {
            return Ok(ExitCode::from(130));
        }
        let granted = ends.reserve(BOB, 8e6)?;
        let refused = ends.announce_refused(EVE, 8e6)?;
        part(format!(
            "{BOB}: 8 Mbit/s granted; {EVE}: refused, error {refused}"
        ));
        if !wait_until(length * 2) {
            return Ok(ExitCode::from(130));
        }
        ends.tear_down(&granted)?;
        part(format!("{BOB}: torn down"));
        if !wait_until(length * 3) {
            return Ok(ExitCode::from(130));
        }
        let plot = Plot {
            names: [BOB, EVE],
            series: traffic.finish(),
            parts,
        };
        drop(router);
        drop(network);
        let mut out = anstream::stdout().lock();
        write!(out, "\n{}", plot.text())?;
        if let Some(path) = &args.svg {
            fs::write(path, plot.svg()).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
