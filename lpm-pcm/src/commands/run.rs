//! `pcm run`: an RSVP node of a network.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::Format;

/// Run an RSVP node.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which LPMs to run, on which interfaces, and what there is of them (a pcm.toml)
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,

    /// How decisions are printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,

    /// Let debuggers and profilers find the source of the LPMs' code
    #[arg(long)]
    pub debug_lpms: bool,
}

pub(crate) const LONG_ABOUT: &str = "\
Run an RSVP node: decide, reserve and forward.

Takes in the RSVP messages that pass this host (IPv4 and IPv6, IP protocol 46), asks the LPMs, reserves what they grant in the \
kernel if the configuration says `enforce = true`, passes messages on to the next node, and gives everything back when \
it ends. Prints a line for each decision. Linux only; needs CAP_NET_RAW, and CAP_NET_ADMIN to reserve.";

pub(crate) const EXIT_STATUS: &str = "\
Exit status:
  1    it could not start, or standard output cannot be written
  2    wrong usage
  130  stopped by Ctrl-C (SIGINT): flows torn down, reservations given back, LPMs deinitialized and unloaded
  143  stopped by SIGTERM, likewise";

/// Runs the command.
///
/// # Errors
/// What kept it from starting.
#[cfg(not(target_os = "linux"))]
pub fn run(_: &Args) -> Result<ExitCode, Box<dyn Error>> {
    Err("run needs Linux: raw sockets, netlink and traffic control are its kernel's. pcm replay runs everywhere".into())
}

/// Runs the command.
///
/// # Errors
/// What kept it from starting.
#[cfg(target_os = "linux")]
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let end = runtime.block_on(linux::serve(args))?;
    Ok(ExitCode::from(match end {
        crate::run::service::End::Interrupted => 130,
        crate::run::service::End::Terminated => 143,
    }))
}

#[cfg(target_os = "linux")]
mod linux {
    use std::error::Error;
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use lpm_host::error::PcmError;
    use lpm_host::event::{Event, EventLog, Severity};
    use sd_notify::NotifyState;

    use super::Args;
    use crate::config::Config;
    use crate::events::Events;
    use crate::node::{self, Sums};
    use crate::output::plain;
    use crate::output::progress::Progress;
    use crate::run::audit::Audit;
    use crate::run::charge::say_pinned;
    use crate::run::host::{Host, address_rows};
    use crate::run::lacking;
    use crate::run::service::{End, Service};

    pub(super) async fn serve(args: &Args) -> Result<End, Box<dyn Error>> {
        let mut config = Config::read(&args.config)?;
        config.debug_lpms = args.debug_lpms;
        let has_other_node = lacking::has_other_node();
        let mut host = Host::open()?;
        let links = host.links(&config)?;
        for lacking in [
            lacking::on_host(&config, &links, has_other_node),
            lacking::in_kernel(&mut host.netlink, &config, &links),
            lacking::of_configuration(&config, &links),
        ] {
            lacking.iter().for_each(plain::tell);
        }
        let events = Arc::new(Log {
            events: Arc::new(node::events(&config.events, &Progress::of(0))?),
            sums: Sums::of(&config),
        });
        let pcm = Arc::new(node::pcm(&config, Arc::clone(&events))?);
        pcm.set_ip_address_table(&address_rows(&links));
        for lpm in pcm.become_dsbm()?.lpms {
            plain::tell(node::told(&lpm));
        }
        for link in &links {
            plain::tell(lacking::on(link));
        }
        let out = io::BufWriter::new(io::stdout());
        let (pcm_of_service, format) = (Arc::clone(&pcm), args.format);
        let audit = || Arc::new(Audit::new(Arc::clone(&events.events)));
        let audit = (!config.events.is_empty()).then(audit);
        let mut service = Service::new(config, host, links, pcm_of_service, audit, format, out)?;
        // Where nobody waits for it nothing is said.
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        let again = || {
            let config = Config::read(&args.config)?;
            events.sums.renew(&config);
            Ok(config)
        };
        let end = service.serve(again).await;
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
        service.finish()?;
        let teardown = loop {
            match pcm.shutdown() {
                // LPMs are being started, stopped or exchanged at this moment.
                Err(PcmError::Busy) => tokio::time::sleep(Duration::from_millis(10)).await,
                done => break done?,
            }
        };
        say_pinned(&teardown);
        drop(pcm);
        match events.events.finish() {
            true => end,
            false => Err("some events were not written to a place that is `required`".into()),
        }
    }

    /// Events to their sinks, and what is a warning or worse to standard error, too.
    struct Log {
        events: Arc<Events>,
        sums: Sums,
    }

    impl EventLog for Log {
        fn record(&self, event: &Event) {
            let event = self.sums.told(event);
            self.events.record(&event, None);
            if event.severity >= Severity::Warning {
                let (name, detail) = (event.id.name(), &event.detail);
                let lpm = event.lpm.as_deref().map(|lpm| format!("LPM {lpm}: "));
                plain::tell(format_args!(
                    "{} {name}: {}{detail}",
                    event.severity,
                    lpm.unwrap_or_default()
                ));
            }
        }
    }
}
