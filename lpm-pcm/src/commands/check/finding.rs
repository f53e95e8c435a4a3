//! What a check finds: each with what was seen, why it matters, and how to mend it.

use serde::{Deserialize, Serialize};

/// Something that an LPM does wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finding {
    pub(super) kind: Kind,
    /// How it came to that.
    pub(super) case: Case,
    /// What was seen, on one line.
    pub(super) what: String,
    /// The message that was asked about, in hexadecimal, where it is one that the check made up.
    pub(super) message: Option<String>,
}

/// How it came to a finding, where that says more of why it matters and how to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Case {
    Usual,
    /// A panic is the cause, which may be another finding.
    Panicked,
    /// It keeps the LPM from starting.
    Starting,
    /// It happens when the LPM is stopped.
    Stopping,
    /// The right to answer was given away.
    Dropped,
    /// The library is built so that a panic in it ends the process.
    PanicAborts,
    /// The LPM has a process of its own.
    OwnProcess,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Severity {
    Warning,
    Error,
}

/// What an LPM can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    DoesNotLoad,
    DoesNotStart,
    EndsProcess,
    Hangs,
    WritesBeyond,
    Panics,
    CallFails,
    InvalidDecision,
    ResultRefused,
    NoAnswer,
    FailsToStop,
    StaysMapped,
    HindersUnloading,
    LeftBehind,
    LeaksMemory,
    LeaksThreads,
    LeaksFiles,
    Grows,
    RefusesAddresses,
    SharesPeType,
    FloodsLog,
    Prints,
    AcceptsNothing,
}

impl Finding {
    pub(super) fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            case: Case::Usual,
            what: what.into(),
            message: None,
        }
    }

    pub(super) fn in_case(mut self, case: Case) -> Self {
        self.case = case;
        self
    }

    /// Whether it says the same as another: numbers of threads, handles and the like aside, and for
    /// a panic the thread.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let words = |finding: &Self| {
            let what = match finding.kind {
                Kind::Panics => without_thread(&finding.what),
                Kind::StaysMapped => without_leak(&finding.what).to_owned(),
                _ => finding.what.clone(),
            };
            let words = what.split(|c: char| c.is_ascii_digit());
            let words = words.filter(|word| !word.is_empty());
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        self.kind == other.kind && words(self) == words(other)
    }

    /// Why it matters.
    pub(super) const fn why(&self) -> &'static str {
        match (self.kind, self.case) {
            (Kind::Panics, Case::Starting) => Kind::DoesNotStart.why(),
            (Kind::Panics, Case::Stopping) => {
                "the operator reads an error with every stop; what the LPM did not close or join by then is left, and its \
                 library may stay mapped"
            }
            (Kind::NoAnswer, Case::Dropped) => {
                "the flows are rejected, whatever the LPM meant to say"
            }
            (Kind::HindersUnloading, Case::PanicAborts) => Kind::EndsProcess.why(),
            (_, Case::OwnProcess) => {
                "what it was asked is rejected, and it starts again after a while, without what it knew; in the PCM's own \
                 process it would end or hold that"
            }
            (kind, _) => kind.why(),
        }
    }

    /// How to mend it.
    pub(super) const fn fix(&self) -> &'static str {
        match (self.kind, self.case) {
            (Kind::Panics | Kind::DoesNotStart, Case::Starting | Case::Panicked) => {
                "return an error from `initialize`: `InitError::config` for the configuration, `InitError::failed` for the rest, \
                 and `?` on an `io::Error`, in place of `unwrap` and `expect`"
            }
            (Kind::Panics | Kind::FailsToStop, Case::Stopping | Case::Panicked) => {
                "expect in `deinitialize`, and in `Drop`, that a thread has panicked or a server is gone: return an error in \
                 place of `unwrap` and `expect`"
            }
            (Kind::NoAnswer, Case::Dropped) => {
                "keep each `Deferral` until the answer is there, and complete it also where a channel is full, a task is \
                 aborted, or what it waits for fails: one that is dropped rejects"
            }
            (_, Case::PanicAborts) => {
                "take `panic = \"abort\"` out of the profile in Cargo.toml: with \"unwind\", the default, the PCM catches a \
                 panic, and rejects that request only"
            }
            (kind, _) => kind.fix(),
        }
    }

    /// Whether nothing more can be learned once this was seen.
    pub(super) const fn is_fatal(&self) -> bool {
        self.kind.is_fatal() || matches!((self.kind, self.case), (Kind::Panics, Case::Starting))
    }

    pub(super) fn hangs(what: impl Into<String>) -> Self {
        Self::new(Kind::Hangs, what)
    }

    /// The process that ran the check came to an early end; `complained` is what it printed.
    pub(super) fn ends_process(how: &str, complained: &str) -> Self {
        let mut what = format!("the process that ran the check {how}");
        let mut lines = complained
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty());
        if let Some(first) = lines.next() {
            what += &format!(", and printed: {first}");
            if let Some(next) = lines.next() {
                what += &format!(" {next}");
            }
        }
        Self::new(Kind::EndsProcess, what)
    }

    /// What the library printed, if anything.
    pub(super) fn prints(place: &str, printed: &str) -> Option<Self> {
        let first = printed.lines().find(|line| !line.trim().is_empty())?;
        let first: String = first.trim().chars().take(100).collect();
        let what = format!("printed to {place}: {first}");
        Some(Self::new(Kind::Prints, what))
    }
}

impl Kind {
    /// The kind in snake_case.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::DoesNotLoad => "does_not_load",
            Self::DoesNotStart => "does_not_start",
            Self::EndsProcess => "ends_process",
            Self::Hangs => "hangs",
            Self::WritesBeyond => "writes_beyond",
            Self::Panics => "panics",
            Self::CallFails => "call_fails",
            Self::InvalidDecision => "invalid_decision",
            Self::ResultRefused => "result_refused",
            Self::NoAnswer => "no_answer",
            Self::FailsToStop => "fails_to_stop",
            Self::StaysMapped => "stays_mapped",
            Self::HindersUnloading => "hinders_unloading",
            Self::LeftBehind => "left_behind",
            Self::LeaksMemory => "leaks_memory",
            Self::LeaksThreads => "leaks_threads",
            Self::LeaksFiles => "leaks_files",
            Self::Grows => "grows",
            Self::RefusesAddresses => "refuses_addresses",
            Self::SharesPeType => "shares_pe_type",
            Self::FloodsLog => "floods_log",
            Self::Prints => "prints",
            Self::AcceptsNothing => "accepts_nothing",
        }
    }

    pub(super) const fn severity(self) -> Severity {
        match self {
            Self::HindersUnloading
            | Self::LeftBehind
            | Self::Grows
            | Self::RefusesAddresses
            | Self::SharesPeType
            | Self::FloodsLog
            | Self::Prints
            | Self::AcceptsNothing => Severity::Warning,
            _ => Severity::Error,
        }
    }

    const fn is_fatal(self) -> bool {
        matches!(
            self,
            Self::DoesNotLoad
                | Self::DoesNotStart
                | Self::EndsProcess
                | Self::Hangs
                | Self::WritesBeyond
                | Self::NoAnswer
                | Self::LeaksThreads
                | Self::FloodsLog
        )
    }

    const fn why(self) -> &'static str {
        match self {
            Self::DoesNotLoad => "a PCM with this LPM does not start",
            Self::DoesNotStart => "a PCM with this LPM does not start; nothing else can be checked",
            Self::EndsProcess => "it takes the PCM and every other LPM with it",
            Self::Hangs => {
                "it holds a thread of the PCM until the process ends; the LPM is not asked any more, all flows are \
                 rejected, and its library stays mapped"
            }
            Self::WritesBeyond => {
                "it may damage the memory of the PCM and of other LPMs; the LPM is not asked any more, and its flows \
                 are rejected"
            }
            Self::Panics => "the call fails: the flows it was asked about are rejected",
            Self::CallFails => "the flows it was asked about are rejected",
            Self::InvalidDecision => {
                "it counts as \"don't care\", or, for a rejection without a reason, as a rejection"
            }
            Self::ResultRefused => "the PCM does not take the result, and the request fails",
            Self::NoAnswer => {
                "the flows are rejected, and whoever waits for them waits for the whole time limit"
            }
            Self::FailsToStop => {
                "the operator reads an error with every stop; what the LPM did not close may be lost"
            }
            Self::StaysMapped => {
                "its memory is lost with every reload, and a new version of it runs beside the old one"
            }
            Self::HindersUnloading => "the library may stay mapped, or harm the PCM's process",
            Self::LeftBehind => {
                "a program that does not take it back crashes when the signal or timer comes after unloading"
            }
            Self::LeaksMemory => "a PCM that starts and stops its LPMs often runs out of memory",
            Self::LeaksThreads => {
                "the PCM runs out of threads, with every call or with every reload"
            }
            Self::LeaksFiles => {
                "a PCM that starts and stops its LPMs often runs out of file descriptors"
            }
            Self::Grows => "flows are refreshed every 30 s or so: the PCM runs out of memory",
            Self::RefusesAddresses => "the operator reads a warning with every change of addresses",
            Self::SharesPeType => {
                "objects of both go into outgoing messages; lpmapi wants another type from each"
            }
            Self::FloodsLog => {
                "it drowns what other LPMs log, costs time in every call, and is cut short"
            }
            Self::Prints => {
                "it gets into the PCM's own output, such as the JSON of `pcm replay`, and into no log"
            }
            Self::AcceptsNothing => {
                "the code that accepts was not checked; and a PCM rejects what no LPM accepts"
            }
        }
    }

    const fn fix(self) -> &'static str {
        match self {
            Self::DoesNotLoad => "`pcm inspect` says what differs; rebuild it with this lpm-api",
            Self::DoesNotStart => {
                "give the LPM its configuration with --config or --config-file; if it has it, see what \
                 `initialize` says"
            }
            Self::EndsProcess => {
                "find what aborts, exits or crashes: run this check alone, with --only, under a debugger"
            }
            Self::Hangs => {
                "do not wait in a call: defer the answer, put limits on what is waited for, and tell \
                 threads in `deinitialize` to end"
            }
            Self::WritesBeyond => {
                "write as many decisions as `FlowDescCount` says, and to nothing else that the call is given; allocate \
                 as much as is written"
            }
            Self::Panics => {
                "handle what may be missing or malformed in a message; \
                 `lpm_host::testing` has the same message in a unit test"
            }
            Self::CallFails => "return an answer from `admit` for every message",
            Self::InvalidDecision => "make decisions with `lpm_api::Decision`, which has no others",
            Self::ResultRefused => {
                "answer a deferred request once, in time, with one decision per flow descriptor \
                 (`Deferral::flow_count`); supply well-formed POLICY_DATA of the LPM's own type that fits"
            }
            Self::NoAnswer => {
                "complete every `Deferral` within `InitInfo::result_time_limit`, also when what it waits \
                 for fails"
            }
            Self::FailsToStop => {
                "return an error from `deinitialize` only for what an operator can mend"
            }
            Self::StaysMapped => {
                "take back in `deinitialize` what the reasons above name: end and join threads, shut runtimes and \
                 pools down, and unregister callbacks, buffers and names that other libraries, OpenSSL \
                 say, or the C library were given"
            }
            Self::HindersUnloading => "see the flag's own advice above",
            Self::LeftBehind => {
                "give signals back what they did before, delete timers, and end in `deinitialize` what was asked of the \
                 C library (closelog, mq_notify, aio_cancel and their like); use setenv, which copies, instead of \
                 putenv; take no backtraces with names (RUST_LIB_BACKTRACE=0)"
            }
            Self::LeaksMemory => {
                "free in `deinitialize` what `initialize` allocates, also what is in statics; keep nothing large in \
                 thread-locals, which are lost in threads that never call the PCM again; print no backtraces \
                 with names (RUST_LIB_BACKTRACE=0), whose tables the standard library keeps"
            }
            Self::LeaksThreads => {
                "start no thread per call, and join in `deinitialize` every thread that was started"
            }
            Self::LeaksFiles => {
                "close in `deinitialize` every file and socket, also those in statics"
            }
            Self::Grows => {
                "key state by flow (`AdmitRequest::flow_key`), so that a refresh replaces what is there, \
                 and drop it in `delete_state`"
            }
            Self::RefusesAddresses => {
                "take any table in `ip_address_table`, and ignore what is of no use"
            }
            Self::SharesPeType => "let the configuration say which type an initialization serves",
            Self::FloodsLog => "log decisions at level debug, and what an operator needs at info",
            Self::Prints => "log with `lpm_api::tracing` instead of printing",
            Self::AcceptsNothing => {
                "give a configuration that accepts some of these: flows of 1 Mbit/s at any hour, without a user, and by \
                 CN=Alice or CN=Alice,OU=Sales,O=Example; an LPM that asks a server needs the server"
            }
        }
    }
}

/// What a panic is told with, but for the name of the thread.
fn without_thread(what: &str) -> String {
    match what.split_once(" in thread ") {
        Some((place, rest)) => match rest.split_once(": ") {
            Some((_, message)) => format!("{place}: {message}"),
            None => place.to_owned(),
        },
        None => what.to_owned(),
    }
}

/// What says of a count of threads that it grew.
pub(super) const THREADS_MORE: &str = " threads more after ";

/// Why a library stays mapped, without what [`by_cause`] has added.
fn without_leak(what: &str) -> &str {
    let reasons = what.find(THREADS_MORE).map(|at| &what[..at]);
    let reasons = reasons.and_then(|reasons| reasons.rsplit_once("; "));
    reasons.map_or(what, |(reasons, _)| reasons)
}

/// One finding for what has one cause: a panic that keeps the LPM from starting or stopping, or
/// that ends the process; threads that are left, and keep the library.
pub(super) fn by_cause(mut findings: Vec<Finding>) -> Vec<Finding> {
    for (kind, case) in [
        (Kind::DoesNotStart, Case::Starting),
        (Kind::FailsToStop, Case::Stopping),
    ] {
        let is_consequence =
            |finding: &Finding| finding.kind == kind && finding.case == Case::Panicked;
        let is_panic = |finding: &&mut Finding| finding.kind == Kind::Panics;
        if findings.iter().any(is_consequence) {
            // It is the last one: nothing was asked of the LPM after that.
            if let Some(panic) = findings.iter_mut().rfind(is_panic) {
                panic.case = case;
                findings.retain(|finding| !is_consequence(finding));
            }
        }
    }
    let is_kept =
        |finding: &Finding| finding.kind == Kind::StaysMapped && finding.what.contains("thread");
    let leaks = |finding: &Finding| finding.kind == Kind::LeaksThreads;
    if let Some(leak) = findings.iter().position(leaks) {
        if findings.iter().any(is_kept) {
            let told = format!("; {}", findings[leak].what);
            findings.retain(|finding| !leaks(finding));
            for finding in findings.iter_mut().filter(|finding| is_kept(finding)) {
                finding.what.push_str(&told);
            }
        }
    }
    let aborts = |finding: &Finding| {
        finding.kind == Kind::HindersUnloading && finding.case == Case::PanicAborts
    };
    let built_so = findings.iter().position(aborts);
    let ended = |finding: &Finding| {
        // What the library has said of the panic is lost with the process.
        let ways = ["panicked at", "SIGABRT", "0xc0000409"];
        finding.kind == Kind::EndsProcess && ways.iter().any(|way| finding.what.contains(way))
    };
    let ended = findings.iter().position(ended);
    if let Some((built_so, ended)) = built_so.zip(ended) {
        let told = format!("; {}", findings[built_so].what);
        findings[ended].what.push_str(&told);
        findings[ended].case = Case::PanicAborts;
        findings.remove(built_so);
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_numbers_only_is_the_same() {
        let stays = |what: &str| Finding::new(Kind::StaysMapped, what);
        let thread = stays("thread 17 (sleeper) is running");
        assert!(thread.is_like(&stays("thread 4711 (sleeper) is running")));
        assert!(!thread.is_like(&stays("thread 17 (spinner) is running")));
        assert!(!thread.is_like(&Finding::hangs(&*thread.what)));
    }

    #[test]
    fn a_panic_is_the_same_on_every_thread() {
        let panics = |what: &str| Finding::new(Kind::Panics, what);
        let main = panics("panicked at a.rs:3 in thread main: no such flow");
        assert!(main.is_like(&panics(
            "panicked at a.rs:3 in thread caller 7: no such flow"
        )));
        assert!(!main.is_like(&panics("panicked at a.rs:3 in thread main: no such user")));
    }

    #[test]
    fn what_has_one_cause_is_one_finding() {
        let panics = || Finding::new(Kind::Panics, "panicked at a.rs:3 in thread main: no");
        for (consequence, case) in [
            (Kind::DoesNotStart, Case::Starting),
            (Kind::FailsToStop, Case::Stopping),
        ] {
            let told = Finding::new(consequence, "panicked").in_case(Case::Panicked);
            let [only] = &by_cause(vec![panics(), told.clone()])[..] else {
                panic!("two findings")
            };
            assert_eq!((only.kind, only.case), (Kind::Panics, case));
            // A panic hook of the LPM's own may say nothing.
            assert_eq!(by_cause(vec![told.clone()]), [told]);
        }
        let kept = Finding::new(Kind::StaysMapped, "stays mapped: thread 7 is still running");
        let leak = Finding::new(
            Kind::LeaksThreads,
            "64 threads more after 64 calls of admit",
        );
        let [only] = &by_cause(vec![leak.clone(), kept.clone()])[..] else {
            panic!("two findings")
        };
        assert_eq!(
            only.what,
            "stays mapped: thread 7 is still running; 64 threads more after 64 calls of admit"
        );
        assert!(only.is_like(&kept) && kept.is_like(only));
        // A library may stay for another reason.
        let other = Finding::new(Kind::StaysMapped, "stays mapped: a callback");
        assert_eq!(by_cause(vec![leak, other]).len(), 2);
        let built = Finding::new(Kind::HindersUnloading, "built so").in_case(Case::PanicAborts);
        let ended =
            Finding::ends_process("ended by signal 6", "thread 'x' panicked at a.rs:3:\nno");
        let [only] = &by_cause(vec![built.clone(), ended])[..] else {
            panic!("two findings")
        };
        assert_eq!(
            (only.kind, only.case),
            (Kind::EndsProcess, Case::PanicAborts)
        );
        assert!(only.what.ends_with("; built so"), "{}", only.what);
        let crashed = Finding::ends_process("ended by signal 11", "");
        assert_eq!(by_cause(vec![built, crashed]).len(), 2);
    }
}
