//! A host with a PCM under tokio. RSVP messages come in on a UDP socket, and refusals are answered.
//! SIGHUP reads the configuration anew; SIGTERM ends the host.
//! `cargo run -p lpm-pcm --example async_host -- pcm.toml 127.0.0.1:1698`
#![forbid(unsafe_code)]

use std::{error::Error, net::SocketAddr, path::Path, sync::Arc, time::SystemTime};

use lpm_host::event::TracingEventLog;
use lpm_host::{Interface, Outcome, Pcm, ReceivedMessage};
use lpm_pcm::{config::Config, node};
use lpm_rsvp::{Message, ObjectIndex, RsvpHop, build::refusal};
use tokio::net::UdpSocket;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, config, address] = &arguments[..] else {
        return Err("expected a pcm.toml and an address".into());
    };
    serve(config.as_ref(), UdpSocket::bind(address).await?).await
}

pub(crate) async fn serve(path: &Path, socket: UdpSocket) -> Result<(), Box<dyn Error>> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut end = signal(SignalKind::terminate())?;
    let host = Arc::new((node::pcm(&Config::read(path)?, TracingEventLog)?, socket));
    let (pcm, socket) = &*host;
    pcm.become_dsbm_later().await?;
    let mut bytes = vec![0; 1 << 16];
    loop {
        tokio::select! {
            received = socket.recv_from(&mut bytes) => {
                let (length, from) = received?;
                tokio::spawn(decide(Arc::clone(&host), bytes[..length].to_vec(), from));
            }
            _ = hangup.recv() => match Config::read(path) {
                // The change begins here; messages are decided meanwhile, and a newer list takes
                // its place.
                Ok(config) => drop(pcm.reconfigure_later(config.lpms.iter().map(node::lpm))),
                Err(error) => eprintln!("{error}"),
            },
            _ = end.recv() => break,
        }
    }
    for lpm in pcm.metrics() {
        let (asked, rejected) = (lpm.requests, lpm.rejected);
        println!("{}: {asked} asked, {rejected} rejected", lpm.name);
    }
    for library in pcm.shutdown_later().await?.libraries {
        println!("{}: {}", library.library.display(), library.outcome);
    }
    Ok(())
}

/// Decides a message, and answers for each flow that is refused; `None` where that cannot be done.
async fn decide(host: Arc<(Pcm, UdpSocket)>, bytes: Vec<u8>, from: SocketAddr) -> Option<()> {
    let (pcm, socket) = &*host;
    let mut index = ObjectIndex::new();
    let (address, logical_interface) = (socket.local_addr().ok()?.ip(), 1);
    let received = ReceivedMessage {
        message: Message::parse(&bytes, &mut index).ok()?, // malformed: the error says where
        interface: Interface { index: 1, address },
        received: SystemTime::now(),
        integrity_verified: false,
    };
    let verdict = pcm.admit_later(&received).ok()?.await;
    let by = RsvpHop {
        address,
        logical_interface,
    };
    for (number, flow) in verdict.flows().iter().enumerate() {
        if flow.outcome() == Outcome::Reject {
            let (code, value) = (flow.decision.error_code(), flow.decision.error_value());
            let answer = refusal(&received.message, number, by, code, value, 0)?;
            socket.send_to(&answer, from).await.ok()?;
        }
    }
    Some(()) // here what is accepted goes on its way
}
