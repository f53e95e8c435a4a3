//! What is fuzzed of LPMs in processes of their own: all that such a process may say, to a PCM that
//! believes none of it.
#![cfg_attr(not(fuzzing), allow(unreachable_pub, reason = "for fuzz targets"))]

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::SystemTime;

use abi_stable::std_types::RVec;
use lpm_abi::{AbiDecision, AbiDeleteState, AbiObjectsRequest};
use lpm_api::abi::abi_message;
use lpm_api::{DeinitReason, Interface, LpmHandle};
use lpm_rsvp::Message;

use super::super::calls::{self, Asker, Call};
use super::super::instance::Instance;
use super::super::panics::Attachment;
use super::super::trace::TraceLimit;
use super::super::trust::LpmLibrary;
use super::adapter;
use super::batch::{Batch, Waiting};
use super::copied::Copied;
use super::frames::{Frame, Greeting, LONGEST, LONGEST_REPORT, Writer};
use super::memory::Memory;
use super::process::Process;
use super::reports::Reports;
use super::task::Description;
use super::turns::PLACES;
use super::watch::Watch;
use super::words::Take;
use crate::event::{Event, EventLog};
use crate::message::ReceivedMessage;
use crate::source::LpmSource;

const NOBODY: LpmHandle = LpmHandle::new(u64::MAX);
/// Bytes of state that may be handed over.
const MOST: u64 = 1_000;

struct NoLog;

impl EventLog for NoLog {
    fn record(&self, _: &Event) {}
}

/// A process that does not run, and its end of the memory.
fn process() -> (Arc<Process>, Memory) {
    let (memory, file) = Memory::create().expect("memory");
    let theirs = Memory::map(file).expect("memory");
    let nobody = Arc::new(Writer::new(io::sink(), LONGEST));
    let process = Process::new(memory, nobody, Arc::default(), 0);
    (Arc::new(process), theirs)
}

/// Hears this from a process that says that it has initialized its LPM: it is put on record, or it
/// is none of what a runner says.
pub fn hear(mut said: &[u8]) {
    let _ = Greeting::receive(&mut &*said);
    let (process, _) = process();
    let (path, events): (_, Arc<dyn EventLog>) = (Path::new("fuzzed"), Arc::new(NoLog));
    let attachment = Attachment::new(path, TraceLimit::default(), Arc::clone(&events));
    let mut reports = Reports::new(
        "fuzzed".into(),
        NOBODY,
        path.to_path_buf(),
        attachment,
        events,
        Arc::default(),
    );
    while let Ok(frame) = Frame::receive(&mut said, LONGEST_REPORT) {
        let _ = Description::take(&mut frame.words());
        if reports.see_to(&frame, &process).is_err() {
            return;
        }
    }
}

struct Asked<'a>(ReceivedMessage<'a>);

impl<'a> Asker for Asked<'a> {
    type Received = ReceivedMessage<'a>;

    fn received(&self) -> &ReceivedMessage<'a> {
        &self.0
    }

    fn issue(&self) -> u64 {
        7
    }
}

/// Makes a call of each kind, all of which are answered with this, after a number that says whether
/// a handle is asked for first.
pub fn answer(said: &[u64]) {
    let (process, theirs) = process();
    let lpm = Description::take(&mut Take(said));
    let lpm = lpm.unwrap_or(Description {
        offers_statistics: true,
        offers_reasons: true,
        offers_hand_over: true,
        ..Description::of_type(1)
    });
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut watch = Watch::on(1);
            theirs.look();
            loop {
                let place = theirs.next(true, &mut watch);
                if is_over.load(Ordering::Acquire) {
                    return;
                }
                if said.first().is_some_and(|first| first % 2 == 1) {
                    theirs.ask_for_handle(place);
                }
                // That no frames came before it, since nobody would see to them; what is too long
                // was not written.
                let answer = [&[0], said.get(1..).unwrap_or_default()].concat();
                let _ = theirs.write(place, &answer, &[]);
                theirs.answer(place);
            }
        });
        call_all(&process, &lpm);
        is_over.store(true, Ordering::Release);
        theirs.hand_over(PLACES - 1);
    });
}

/// Until one of the answers makes no sense: then it is asked no more.
fn call_all(process: &Arc<Process>, lpm: &Description) {
    /// A PathTear without anything, which is not what these calls are about; nobody looks.
    const MESSAGE: [u8; 8] = [0x10, 5, 0, 0, 64, 0, 0, 8];

    let message = Message::from_index(&MESSAGE, &[]);
    let interface = Interface {
        index: 1,
        address: std::net::Ipv4Addr::LOCALHOST.into(),
    };
    let asked = Asked(ReceivedMessage {
        message,
        interface,
        received: SystemTime::UNIX_EPOCH,
        integrity_verified: false,
    });
    // SAFETY: nothing is loaded.
    let library = unsafe { LpmLibrary::trust("fuzzed") };
    let source = LpmSource::from(library);
    let initialized = adapter::initialized(process, lpm);
    let lpm = Instance::new("fuzzed".into(), NOBODY, initialized, source, None);
    let Ok(lpm) = lpm else { return };
    let places = [const { Cell::new(AbiDecision::UNANSWERED) }; 2];
    let request = calls::request(&asked, &places);
    let _ = lpm.admit(&request);
    let copied = Copied::from(&asked.0);
    let (mut waiting, mut several) = (Waiting::default(), Batch::default());
    let queries = [(7, 1), (8, 0)].map(|(handle, flows)| waiting.push(handle, flows, &copied));
    several.take(&mut waiting, queries.into_iter());
    let mut answers = Vec::new();
    if process.admit_many(&several, &mut answers).is_ok() {
        assert!((1..=2).contains(&answers.len()));
    }
    let call = Call::new(|| 7);
    let objects_request = AbiObjectsRequest {
        interface: interface.into(),
        max_policy_data_size: 100,
        message: abi_message(message),
        defer: call.defer(),
    };
    let _ = lpm.rsvp_objects(&objects_request, &mut RVec::new());
    let _ = lpm.delete_state(&AbiDeleteState {
        reason: 1,
        flow: None.into(),
        interface: None.into(),
        message: abi_message(message),
    });
    let _ = lpm.ip_address_table(&[]);
    let _ = lpm.statistics();
    let _ = lpm.explain(&request, 0, AbiDecision::UNANSWERED);
    if let Ok(Some(state)) = lpm.hand_over(MOST) {
        assert!(state.bytes.len() as u64 <= MOST);
        let _ = lpm.take_over(&state);
    }
    let _ = lpm.deinitialize(DeinitReason::Shutdown);
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Mostly what may stand there.
    fn words() -> impl Strategy<Value = Vec<u64>> {
        vec(prop_oneof![4 => 0..4_u64, 1 => any::<u64>()], 0..24)
    }

    proptest! {
        #[test]
        fn whatever_a_process_says_does_no_harm(frames in vec((5..=15_u32, words()), 0..8)) {
            let mut said = Vec::new();
            for (kind, words) in frames {
                said.extend(kind.to_ne_bytes());
                let length = u32::try_from(words.len()).unwrap();
                said.extend(length.to_ne_bytes());
                said.extend(words.into_iter().flat_map(u64::to_ne_bytes));
            }
            hear(&said);
        }

        #[test]
        fn whatever_a_process_answers_does_no_harm(said in words()) {
            answer(&said);
        }
    }
}
