//! What the checks share: the LPM that is checked, in a PCM, and what is asked of it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use lpm_host::error::PcmError;
use lpm_host::lpm_rsvp::Message;
use lpm_host::testing::TestMessage;
use lpm_host::{
    AddressRow, CallMode, FlowVerdict, LpmConfig, Outcome, OutgoingMessage, Pcm, PinReason,
    ReceivedMessage, StateGone, Teardown, UnloadOutcome, Verdict, libunload,
};
use lpm_host::{CommitDecision, CommittedResv, DeleteReason};

use super::finding::{Finding, Kind, THREADS_MORE};
use super::measure::InUse;
use super::recorder::Recorder;
use super::task::{Check, Isolated, Record, Task, UNMAPS};
use super::watch::{Watch, listen};
use crate::child::Journal;
use crate::commands::lpm_text::LpmText;

/// How many times as long as another call `initialize` and `deinitialize` may take.
const LIFECYCLE: u32 = 6;

/// After how many calls of `admit` there is a look at what they have taken.
const BETWEEN_LOOKS: u32 = 32;
/// How many threads are too many.
const MANY_THREADS: u64 = 30;
/// How much memory is too much, in bytes.
const MUCH_MEMORY: u64 = 1 << 30;

/// How often it may be unknown whether a library can be unmapped.
const MOST_UNKNOWN: u32 = 3;

/// Something was found after which a check need not go on.
#[derive(Debug)]
pub(super) struct CheckEnded;

/// The LPM that is checked, and where what is found about it goes.
pub(super) struct CheckedLpm {
    library: PathBuf,
    configs: Vec<LpmText>,
    pub(super) time_limit: Duration,
    call_mode: CallMode,
    isolation: Isolated,
    pub(super) recorder: Recorder,
    journal: Journal,
    watch: Watch,
    /// How many times the library was unmapped, and how many times it could not be told whether it
    /// may be.
    unmapped: AtomicU32,
    unknown: AtomicU32,
    admitted: AtomicU32,
    /// What was in use before anything was loaded.
    before: InUse,
}

impl CheckedLpm {
    pub(super) fn new(task: &Task, library: &Path, journal: &Journal) -> Self {
        let recorder = Recorder::new(journal, task.configs.len() > 1);
        // Elsewhere there are more calls a second than a PCM ever makes.
        if task.check == Check::Lifecycle {
            listen(&recorder);
        }
        let patience = task.time_limit.saturating_mul(2 * LIFECYCLE) + Duration::from_secs(5);
        Self {
            library: library.to_path_buf(),
            configs: task.configs.clone(),
            time_limit: task.time_limit,
            call_mode: CallMode::Inline,
            isolation: task.isolation,
            watch: Watch::start(patience, &recorder),
            recorder,
            journal: journal.clone(),
            unmapped: AtomicU32::new(0),
            unknown: AtomicU32::new(0),
            admitted: AtomicU32::new(0),
            before: match task.isolation {
                Isolated::None => InUse::now(),
                Isolated::Process => InUse::NOTHING,
            },
        }
    }

    /// The same with calls on threads of the LPM's own.
    pub(super) fn on_workers(&self) -> Self {
        self.recorder.is_on_workers();
        Self {
            library: self.library.clone(),
            configs: self.configs.clone(),
            time_limit: self.time_limit,
            call_mode: CallMode::worker(),
            isolation: self.isolation,
            recorder: self.recorder.clone(),
            journal: self.journal.clone(),
            watch: self.watch.clone(),
            unmapped: AtomicU32::new(0),
            unknown: AtomicU32::new(0),
            admitted: AtomicU32::new(0),
            before: self.before,
        }
    }

    /// How many configurations were given.
    pub(super) fn config_count(&self) -> usize {
        self.configs.len()
    }

    /// Says what is being done; each step has a limit in time.
    pub(super) fn step(&self, name: &'static str) {
        self.watch.step(name);
    }

    /// The LPM, with the configuration of this number, or the last.
    pub(super) fn lpm(&self, number: usize) -> LpmConfig {
        // Whoever checks a library has it loaded, and vouches for that.
        let library = lpm_host::trust_library!(unsafe self.library.clone());
        let lpm = LpmConfig::new(format!("checked {number}"), library)
            .result_time_limit(self.time_limit)
            .initialize_limit(self.time_limit.saturating_mul(LIFECYCLE))
            .deinitialize_limit(self.time_limit.saturating_mul(LIFECYCLE))
            .call_mode(self.call_mode)
            .isolation(self.isolation.into());
        match self.configs.get(number).or(self.configs.last()) {
            Some(config) => config.configure(lpm),
            None => lpm,
        }
    }

    /// A PCM with one LPM, not yet in charge.
    pub(super) fn pcm(&self) -> Result<Pcm, CheckEnded> {
        self.pcm_of([self.lpm(0)])
    }

    /// A PCM with these LPMs, not yet in charge.
    pub(super) fn pcm_of(
        &self,
        lpms: impl IntoIterator<Item = LpmConfig>,
    ) -> Result<Pcm, CheckEnded> {
        let builder = Pcm::builder()
            .event_log(self.recorder.clone())
            .drain_limit(self.time_limit);
        let pcm = lpms.into_iter().fold(builder, lpm_host::PcmBuilder::lpm);
        let pcm = pcm
            .build()
            .map_err(|error| self.broken(&error.to_string()))?;
        pcm.set_ip_address_table(&addresses());
        Ok(pcm)
    }

    /// Starts the LPMs.
    pub(super) fn start(&self, pcm: &Pcm) -> Result<(), CheckEnded> {
        self.step("initialize");
        // The event log has said why not.
        let started = pcm.become_dsbm().map_err(|_| CheckEnded);
        self.step("after initialize");
        started.map(drop)
    }

    /// Stops the LPMs as on demotion.
    pub(super) fn demote(&self, pcm: &Pcm) -> Result<(), CheckEnded> {
        self.step("deinitialize (demotion) and unload");
        self.stopped(pcm.demote())
    }

    /// Stops the LPMs for good.
    pub(super) fn shut_down(&self, pcm: &Pcm) -> Result<(), CheckEnded> {
        self.step("deinitialize (shutdown) and unload");
        self.stopped(pcm.shutdown())
    }

    /// Runs another list of LPMs in the place of those that run.
    pub(super) fn reconfigure(
        &self,
        pcm: &Pcm,
        lpms: impl IntoIterator<Item = LpmConfig>,
    ) -> Result<(), CheckEnded> {
        self.step("deinitialize (reconfiguration) and unload");
        // Where a new one does not start the event log has said why.
        let done = pcm.reconfigure(lpms).map_err(|_| CheckEnded)?;
        self.stopped(Ok(done.stopped))
    }

    /// Looks at what became of the libraries.
    fn stopped(&self, teardown: Result<Teardown, PcmError>) -> Result<(), CheckEnded> {
        let teardown = teardown.map_err(|error| self.broken(&error.to_string()))?;
        for library in &teardown.libraries {
            self.unloaded(&library.outcome);
            let left = &library.left_behind;
            for signal in &left.signals {
                let name = signal_name(*signal);
                self.found(Kind::LeftBehind, format!("left a handler of signal {name}"));
            }
            if left.timers > 0 {
                self.found(Kind::LeftBehind, format!("left {} timers", left.timers));
            }
            for variable in &left.variables {
                let what = format!(
                    "left the variable {variable} of the environment in memory of its own (putenv)"
                );
                self.found(Kind::LeftBehind, what);
            }
            for function in &left.lent {
                let what = format!("left an address of its own with {function}");
                self.found(Kind::LeftBehind, what);
            }
            if left.files > 0 {
                let what = "left files mapped, as backtraces with names do; their tables stay in memory with each load";
                self.found(Kind::LeftBehind, what.to_owned());
            }
        }
        self.goes_on()
    }

    /// Looks at whether a library was unmapped. On a busy machine it happens that a thread cannot
    /// be asked where it is; that is the LPM's doing only where it happens time and again.
    fn unloaded(&self, outcome: &UnloadOutcome) {
        let UnloadOutcome::Pinned { reasons } = outcome else {
            self.unmapped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let is_unknown = |reason: &PinReason| {
            matches!(
                reason,
                PinReason::Library(libunload::PinReason::StackUnknown(_))
            )
        };
        let is_rare = reasons.iter().all(is_unknown) && {
            let unknown = self.unknown.fetch_add(1, Ordering::Relaxed) + 1;
            unknown < MOST_UNKNOWN || unknown < self.unmapped.load(Ordering::Relaxed)
        };
        if UNMAPS && !is_rare {
            self.found(Kind::StaysMapped, outcome.to_string());
        }
    }

    /// Has the LPMs decide on a message.
    pub(super) fn admit(&self, pcm: &Pcm, message: &TestMessage) -> Result<(), CheckEnded> {
        self.admit_at(pcm, message, SystemTime::now())
    }

    /// The same for a message that came in at this time.
    pub(super) fn admit_at(
        &self,
        pcm: &Pcm,
        message: &TestMessage,
        time: SystemTime,
    ) -> Result<(), CheckEnded> {
        self.step("admit");
        let decided = pcm.admit(&ReceivedMessage {
            received: time,
            ..received(message)
        });
        self.note(&decided);
        self.call(decided)?;
        let count = self.admitted.fetch_add(1, Ordering::Relaxed) + 1;
        match count % BETWEEN_LOOKS {
            0 => self.look_after(pcm, count),
            _ => Ok(()),
        }
    }

    /// Writes down whether a flow was accepted.
    fn note(&self, decided: &Result<Verdict, PcmError>) {
        let accepts = |flow: &FlowVerdict| flow.outcome() == Outcome::Accept;
        if decided
            .as_ref()
            .is_ok_and(|verdict| verdict.flows().iter().any(accepts))
        {
            self.recorder.accepted();
        }
    }

    /// Looks at what so many calls have taken, before it is too much for the machine.
    fn look_after(&self, pcm: &Pcm, calls: u32) -> Result<(), CheckEnded> {
        let more = |now: Option<u64>, before: Option<u64>| Some(now?.saturating_sub(before?));
        let now = self.in_use(pcm);
        if let Some(threads @ MANY_THREADS..) = more(now.threads, self.before.threads) {
            let what = format!("{threads}{THREADS_MORE}{calls} calls of admit");
            self.found(Kind::LeaksThreads, what);
        }
        if let Some(bytes @ MUCH_MEMORY..) = more(now.memory, self.before.memory) {
            let what = format!("{} MiB more after {calls} calls of admit", bytes >> 20);
            self.found(Kind::Grows, what);
            return Err(CheckEnded);
        }
        self.goes_on()
    }

    /// What the process has in use that the LPM runs in: where there are several, the first one's.
    pub(super) fn in_use(&self, pcm: &Pcm) -> InUse {
        if !self.is_isolated() {
            return InUse::now();
        }
        let lpms = pcm.status().lpms;
        let mut lpms = lpms.into_iter().filter_map(|lpm| lpm.initialized);
        lpms.find_map(|lpm| lpm.process)
            .map_or(InUse::UNKNOWN, InUse::of)
    }

    /// Whether the LPM runs in a process of its own.
    pub(super) fn is_isolated(&self) -> bool {
        self.isolation == Isolated::Process
    }

    /// Asks for the objects of an outgoing message.
    pub(super) fn rsvp_objects(&self, pcm: &Pcm, message: &TestMessage) -> Result<(), CheckEnded> {
        self.step("rsvp_objects");
        self.call(pcm.rsvp_objects(&OutgoingMessage {
            message: message.view(),
            interface: message.interface(),
            max_policy_data_size: 1_000,
        }))
    }

    /// Tells that a flow got its resources.
    pub(super) fn commit_resv(
        &self,
        pcm: &Pcm,
        message: &TestMessage,
        decision: CommitDecision,
    ) -> Result<(), CheckEnded> {
        self.step("commit_resv");
        self.call(pcm.commit_resv(&CommittedResv {
            message: message.view(),
            flow: 0,
            interface: message.interface(),
            decision,
            merged: None,
        }))
    }

    /// Tells that state is gone.
    pub(super) fn delete_state(
        &self,
        pcm: &Pcm,
        message: &TestMessage,
        reason: DeleteReason,
    ) -> Result<(), CheckEnded> {
        self.step("delete_state");
        self.call(pcm.delete_state(&StateGone {
            reason,
            message: message.view(),
            flow: None,
            interface: Some(message.interface()),
        }))
    }

    /// Tells the addresses once more.
    pub(super) fn ip_address_table(
        &self,
        pcm: &Pcm,
        table: &[AddressRow],
    ) -> Result<(), CheckEnded> {
        self.step("ip_address_table");
        pcm.set_ip_address_table(table);
        self.goes_on()
    }

    /// Asks for the counters.
    pub(super) fn statistics(&self, pcm: &Pcm) -> Result<(), CheckEnded> {
        self.step("statistics");
        self.call(pcm.statistics())
    }

    /// Writes a finding down.
    pub(super) fn found(&self, kind: Kind, what: impl Into<String>) {
        self.recorder.found(Finding::new(kind, what));
    }

    /// Whether the check may go on.
    pub(super) fn goes_on(&self) -> Result<(), CheckEnded> {
        match self.recorder.is_fatal() {
            true => Err(CheckEnded),
            false => Ok(()),
        }
    }

    /// Says that the check is over, and ends the process. Code of a library that stayed mapped may
    /// run on exit, which is what the next step is about.
    pub(super) fn finish(&self) {
        self.step("the end of the process");
        self.journal.write(&Record::Done);
    }

    fn call<R>(&self, result: Result<R, PcmError>) -> Result<(), CheckEnded> {
        match result {
            Ok(_) => self.goes_on(),
            Err(error) => Err(self.broken(&error.to_string())),
        }
    }

    /// The PCM did not do what it always does; the checks themselves are to blame.
    fn broken(&self, what: &str) -> CheckEnded {
        self.found(Kind::CallFails, format!("the PCM says: {what}"));
        CheckEnded
    }
}

/// How a message is received in all checks.
pub(super) fn received(message: &TestMessage) -> ReceivedMessage<'_> {
    let view: Message<'_> = message.view();
    ReceivedMessage {
        message: view,
        interface: message.interface(),
        received: SystemTime::now(),
        integrity_verified: message.integrity_verified(),
    }
}

/// Addresses of a host with one interface.
pub(super) fn addresses() -> [AddressRow; 2] {
    let row = |address, prefix_length| AddressRow {
        interface_index: 1,
        media_type: 6,
        address,
        prefix_length,
    };
    [
        row(std::net::Ipv4Addr::new(192, 0, 2, 1).into(), 24),
        row(std::net::Ipv6Addr::LOCALHOST.into(), 128),
    ]
}

#[cfg(unix)]
fn signal_name(signal: i32) -> String {
    match signal_hook::low_level::signal_name(signal) {
        Some(name) => format!("{signal} ({name})"),
        None => signal.to_string(),
    }
}

#[cfg(not(unix))]
fn signal_name(signal: i32) -> String {
    signal.to_string()
}
