//! The control socket: whoever may open it asks how the service is, and has it reload.
//!
//! A connection has one line, the question, and then the answer, one JSON object.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use lpm_host::status::{LpmHealth, LpmMetrics, LpmStatusReport};
use lpm_sbm::SessionReport;

use crate::output::plain;

/// How long a question may take to come.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest question, in bytes.
const LONGEST: u64 = 64;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// How the service is.
    Status,
    /// What it keeps.
    Sessions,
    /// That it takes its configuration anew.
    Reload,
    /// What it counts.
    Metrics,
    /// That it stops its LPMs, and gives back what is reserved.
    Demote,
    /// That it starts its LPMs again.
    BecomeDsbm,
}

impl Query {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Sessions => "sessions",
            Self::Reload => "reload",
            Self::Metrics => "metrics",
            Self::Demote => "demote",
            Self::BecomeDsbm => "become-dsbm",
        }
    }

    fn of(line: &str) -> Option<Self> {
        let all = [
            Self::Status,
            Self::Sessions,
            Self::Reload,
            Self::Metrics,
            Self::Demote,
            Self::BecomeDsbm,
        ];
        all.into_iter().find(|query| query.name() == line.trim())
    }
}

/// How the service is.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// How long it has been serving, in seconds.
    pub uptime: u64,
    /// Whether its LPMs are in charge: `in_charge`, `standby`, `changing`, `shut_down`.
    pub phase: &'static str,
    /// Its LPMs.
    pub lpms: Vec<LpmReport>,
    /// The libraries that could not be unloaded.
    pub pinned: Vec<String>,
    /// The interfaces that RSVP runs on.
    pub interfaces: Vec<InterfaceStatus>,
    /// How many sessions it keeps.
    pub sessions: usize,
    /// How many flows: senders, and requests of next hops.
    pub flows: usize,
    /// Whether the kernel reserves what is granted.
    pub enforce: bool,
    /// Messages that were not taken in, by reason.
    pub dropped: Vec<(&'static str, u64)>,
}

/// How an LPM is.
#[derive(Clone, Debug, Serialize)]
pub struct LpmReport {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub source: String,
    /// The version of its package.
    pub version: Option<String>,
    /// `serving`, `quarantined`, `ended` or `not_initialized`.
    pub health: &'static str,
    /// `none` or `process`.
    pub isolation: &'static str,
    /// The number of the process that runs it, where that is not this one and has not ended.
    pub process: Option<u32>,
    /// How often such a process crashed or was killed.
    pub process_ends: u64,
    /// How many requests it still has to answer.
    pub open_requests: usize,
}

impl LpmReport {
    /// What is told of an LPM, by how it is and what was counted of all.
    pub(super) fn of(lpm: &LpmStatusReport, counted: &[LpmMetrics]) -> Self {
        let initialized = lpm.initialized.as_ref();
        let mut counted = counted.iter();
        let counted = counted.find(|counted| counted.name == lpm.name);
        Self {
            name: lpm.name.to_string(),
            source: lpm.source.to_string(),
            version: initialized.and_then(|lpm| lpm.version.as_deref().map(str::to_owned)),
            health: lpm.health.name(),
            isolation: lpm.isolation.name(),
            process: initialized
                .filter(|_| lpm.health != LpmHealth::Ended)
                .and_then(|lpm| lpm.process),
            process_ends: counted.map_or(0, |counted| counted.ended),
            open_requests: initialized.map_or(0, |lpm| lpm.open_requests),
        }
    }
}

/// How an interface is.
#[derive(Clone, Debug, Serialize)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// What of its bandwidth is reserved, in bit/s.
    pub reserved: u64,
}

/// An answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// How the service is.
    Status(Status),
    /// What it keeps.
    Sessions(Vec<SessionReport>),
    /// It has taken its configuration anew, but for this.
    Reloaded(Vec<String>),
    /// What it counts, in Prometheus's text format.
    Metrics(String),
    /// Its LPMs are stopped.
    Demoted,
    /// Its LPMs are in charge.
    InCharge,
    /// It does not do what was asked, for this reason.
    Refused(String),
    /// The question is none.
    Unknown,
}

/// A question that came in, and where the answer goes.
pub type Asked = (Query, oneshot::Sender<Reply>);

/// The socket; its file goes with it.
pub struct Control {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Control {
    /// The socket of a configuration, if it has one.
    ///
    /// # Errors
    /// Like [`open`](Self::open), with the path.
    pub fn configured(
        path: Option<&Path>,
        queries: &UnboundedSender<Asked>,
    ) -> io::Result<Option<Self>> {
        let control = path.map(|path| {
            Self::open(path, queries.clone()).map_err(|error| {
                let what = format!("control socket {}: {error}", path.display());
                io::Error::new(error.kind(), what)
            })
        });
        control.transpose()
    }

    /// Opens the socket, for the owner of this process only, and takes in questions.
    ///
    /// # Errors
    /// The path is taken by something else than a socket that nobody serves, or cannot be made.
    pub fn open(path: &Path, queries: UnboundedSender<Asked>) -> io::Result<Self> {
        if let Ok(metadata) = fs::symlink_metadata(path) {
            let is_served = std::os::unix::net::UnixStream::connect(path).is_ok();
            let fault = match (metadata.file_type().is_socket(), is_served) {
                (false, _) => Some("a file that is no socket is there; remove it, or give another"),
                (true, true) => Some(
                    "another program serves it, such as another pcm run; stop that, or give another",
                ),
                (true, false) => None,
            };
            if let Some(fault) = fault {
                let fault = format!("{fault} `control` in [run]");
                return Err(io::Error::new(io::ErrorKind::AddrInUse, fault));
            }
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path).map_err(|error| {
            let advice = "make its folder, grant the right to write there, or give another `control` in [run]";
            io::Error::new(error.kind(), format!("{error}; {advice}"))
        })?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    // Too many files are open, say: that passes.
                    sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let queries = queries.clone();
                tokio::spawn(async move {
                    // Who does not ask, or goes away, gets no answer.
                    let _ = serve(stream, &queries).await;
                });
            }
        });
        let path = path.to_owned();
        Ok(Self { path, task })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        let _ = fs::remove_file(&self.path);
    }
}

async fn serve(mut stream: UnixStream, queries: &UnboundedSender<Asked>) -> io::Result<()> {
    let mut line = String::new();
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader.take(LONGEST));
    timeout(PATIENCE, reader.read_line(&mut line)).await??;
    let reply = match Query::of(&line) {
        Some(query) => {
            let (answer, answered) = oneshot::channel();
            let _ = queries.send((query, answer));
            answered.await.map_err(io::Error::other)?
        }
        None => Reply::Unknown,
    };
    let reply = plain::json(&reply) + "\n";
    timeout(PATIENCE, writer.write_all(reply.as_bytes())).await?
}
