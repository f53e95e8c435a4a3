//! The thread that keeps a process: starts it, sees to what it reports, and waits for its end. It
//! lives as long as the process, which Linux ends with the thread that started it.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, OnceLock};
use std::thread;

use lpm_api::LpmStatus;

use super::child::{self, Ends, Running};
use super::ended;
use super::error::IsolationError;
use super::frames::{Frame, Greeting, Kind, PROTOCOL, VERSION};
use super::link;
use super::process::{Process, Why};
use super::reports::Reports;
use super::task::Description;
use super::words::{self, Malformed, Put};
use crate::event::EventId;
use crate::requests::registry;

/// What comes of starting an LPM.
pub(super) enum Told {
    /// It is initialized.
    Started,
    /// Its library does not load.
    NotLoaded(String),
    /// `initialize` failed.
    NotInitialized(LpmStatus, String),
}

struct Keeper {
    process: Arc<Process>,
    reports: Reports,
    program: PathBuf,
    task: Vec<u64>,
    tell: Sender<Result<Told, IsolationError>>,
}

/// Starts a process for the LPM that `task` names, and waits until that is initialized or not.
/// `begun` gets the process at once, since that may take long.
pub(super) fn start(
    program: PathBuf,
    reports: Reports,
    task: impl FnOnce(Put<'_>, u32),
    begun: &OnceLock<Arc<Process>>,
) -> Result<(Arc<Process>, Told), IsolationError> {
    let (memory, to_runner, ends) = child::prepare().map_err(IsolationError::System)?;
    let (conduct, library) = (Arc::clone(&reports.conduct), reports.library_number());
    let process = Arc::new(Process::new(memory, to_runner, conduct, library));
    let _ = begun.set(Arc::clone(&process));
    let mut words = Vec::new();
    task(Put(&mut words), reports.level());
    let (tell, told) = mpsc::channel();
    let keeper = Keeper {
        process: Arc::clone(&process),
        reports,
        program,
        task: words,
        tell,
    };
    thread::Builder::new()
        .name(String::from("lpm-keeper"))
        .spawn(move || keeper.keep(ends))
        .map_err(IsolationError::System)?;
    let nobody_knows = || {
        let how = "nobody knows how".to_owned();
        Err(IsolationError::Ended { how })
    };
    let told = told.recv().unwrap_or_else(|_| nobody_knows())?;
    Ok((process, told))
}

/// Why what a process says is listened to no more.
enum Silence {
    /// It has ended, or is ending.
    End,
    /// It does not run LPMs.
    NotARunner,
    /// It is of another version.
    Version(Greeting),
}

impl Keeper {
    fn keep(mut self, ends: Ends) {
        link::this_thread_sees_to_frames();
        let child = match Running::start(&self.program, ends) {
            Ok(child) => Arc::new(child),
            Err(source) => {
                let program = self.program.clone();
                let _ = self
                    .tell
                    .send(Err(IsolationError::Start { program, source }));
                self.process.link.end();
                return self.process.is_over();
            }
        };
        self.process.began(&child);
        let silence = self.listen(&child);
        // Whatever it still does nobody hears of.
        self.process.link.close();
        if !matches!(self.process.why(), Some(Why::Told)) {
            // If it has not ended by itself.
            child.process.kill();
        }
        let how = ended::describe(child.wait());
        let how = match self.process.why() {
            Some(Why::Killed(why)) => format!("{why}: its process was killed"),
            _ => format!("its process ended: {how}"),
        };
        let program = self.program.clone();
        let error = match silence {
            Silence::End => IsolationError::Ended { how: how.clone() },
            Silence::NotARunner => IsolationError::NotARunner {
                program,
                end: how.clone(),
            },
            Silence::Version(Greeting { protocol, version }) => IsolationError::Version {
                program,
                expected: VERSION.to_owned(),
                expected_protocol: PROTOCOL,
                found: version,
                found_protocol: protocol,
            },
        };
        // Nobody listens any more where the LPM was initialized.
        let _ = self.tell.send(Err(error));
        self.conclude(&how);
    }

    /// Sees to what the process says until it ends or says nonsense.
    fn listen(&mut self, child: &Running) -> Silence {
        let mut heard = child.hear();
        match heard.greeting() {
            Some(greeting) if greeting == Greeting::own() => {}
            Some(greeting) => return Silence::Version(greeting),
            None => return Silence::NotARunner,
        }
        let task = std::mem::take(&mut self.task);
        self.process
            .tell(Kind::Start, |put: Put<'_>| put.0.extend(&task));
        loop {
            let seen_to = match heard.frame() {
                Ok(frame) => self.see_to(&frame),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Malformed),
                Err(_) => return Silence::End,
            };
            self.process.link.frame_is_handled();
            if let Err(malformed) = seen_to {
                self.process
                    .kill(format!("it broke the protocol: {malformed}"));
                return Silence::End;
            }
        }
    }

    fn see_to(&mut self, frame: &Frame) -> Result<(), Malformed> {
        let take = &mut frame.words();
        let told = match frame.kind {
            Kind::Started => {
                let description = Description::take(take)?;
                let known = self.process.description.set(description);
                known.map_err(|_| Malformed)?;
                Told::Started
            }
            Kind::NotLoaded => Told::NotLoaded(words::line(take.text()?)),
            Kind::NotInitialized => {
                let status = LpmStatus(take.narrow()?);
                Told::NotInitialized(status, words::line(take.text()?))
            }
            _ => return self.reports.see_to(frame, &self.process),
        };
        // Nobody listens any more where that took too long.
        let _ = self.tell.send(Ok(told));
        Ok(())
    }

    /// The process is gone: what it was to answer is rejected.
    fn conclude(self, how: &str) {
        let process = &self.process;
        let is_told = matches!(process.why(), Some(Why::Told));
        let requests = registry::find(self.reports.handle, |lpm| Arc::clone(&lpm.requests));
        if !is_told && process.description.get().is_some() {
            let id = process.id().unwrap_or_default();
            let detail = format!(
                "{how} (process {id}); its open requests are rejected, and it starts again"
            );
            let event = self.reports.event(EventId::LpmProcessEnded, detail);
            if let Some(requests) = &requests {
                requests.tally.count_end();
            }
            // Whoever waits may stop the LPM at once, so what is to be told is told before.
            self.reports.events.record(&event.status(LpmStatus::ENDED));
        }
        process.link.end();
        if let Some(requests) = requests {
            requests.close(LpmStatus::ENDED);
        }
        process.link.see_off();
        process.is_over();
    }
}
