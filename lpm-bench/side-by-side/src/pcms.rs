//! PCMs to ask, and messages to ask them about.

use std::error::Error;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use lpm_host::event::{Event, EventLog};
use lpm_host::{Interface, LpmConfig, LpmLibrary, Pcm, ReceivedMessage};
use lpm_rsvp::Message;

/// Puts nothing on record.
struct Silence;

impl EventLog for Silence {
    fn record(&self, _: &Event) {}
}

/// A PCM that is not in charge yet, with these LPMs.
pub(crate) fn new(
    lpms: impl IntoIterator<Item = LpmLibrary>,
    config: &str,
) -> Result<Pcm, Box<dyn Error>> {
    let mut builder = Pcm::builder().event_log(Silence);
    for (number, library) in lpms.into_iter().enumerate() {
        let lpm = LpmConfig::new(format!("LPM {number}"), library).config(config);
        // Loading a thousand takes its time.
        builder = builder.lpm(lpm.initialize_limit(Duration::from_secs(600)));
    }
    Ok(builder.build()?)
}

/// A PCM in charge.
pub(crate) fn in_charge(
    lpms: impl IntoIterator<Item = LpmLibrary>,
    config: &str,
) -> Result<Pcm, Box<dyn Error>> {
    let pcm = new(lpms, config)?;
    pcm.become_dsbm()?;
    Ok(pcm)
}

/// A message as it was received.
pub(crate) fn received(message: Message<'_>) -> ReceivedMessage<'_> {
    ReceivedMessage {
        message,
        interface: Interface {
            index: 2,
            address: Ipv4Addr::new(192, 0, 2, 1).into(),
        },
        received: SystemTime::now(),
        integrity_verified: false,
    }
}
