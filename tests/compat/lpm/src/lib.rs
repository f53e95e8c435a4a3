//! Uses the whole of the API, and logs what it is told. Builds with every release of `lpm-api`.
#![forbid(unsafe_code)]

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::UNIX_EPOCH;

use lpm_api::lpm_rsvp::FlowDescriptor;
use lpm_api::tracing::{info, info_span};
use lpm_api::{
    AddressRow, AddressTableRefused, AdmitRequest, Answer, CommitResv, Decision, DeinitError,
    DeinitReason, DeleteState, InitError, InitInfo, Lpm, LpmPolicyError, ObjectsAnswer,
    ObjectsRequest, PeType, Priority, Statistics,
};

struct Compat {
    asked: AtomicU64,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Compat {
    fn later(&self, work: impl FnOnce() + Send + 'static) {
        let mut threads = self.threads.lock().expect("nothing panics here");
        threads.push(thread::spawn(work));
    }
}

impl Lpm for Compat {
    fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
        info!(
            "initialize {} {:?} {} {:?} {:?} {} {}",
            init.name(),
            init.config(),
            init.config_source(),
            init.config_dir(),
            init.result_time_limit(),
            init.lpm_count(),
            init.pcm_version(),
        );
        if init.config() == "refuse" {
            let status = NonZeroU32::new(77).expect("not 0");
            return Err(InitError::new(status, "refused as configured"));
        }
        Ok(Self {
            asked: AtomicU64::new(0),
            threads: Mutex::default(),
        })
    }

    fn pe_type(&self) -> PeType {
        PeType::AUTH_APP
    }

    fn ip_address_table(&self, table: &[AddressRow]) -> Result<(), AddressTableRefused> {
        info!("ip_address_table {table:?}");
        match table {
            [] => Ok(()),
            _ => Err(AddressTableRefused),
        }
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        self.asked.fetch_add(1, Relaxed);
        let span = info_span!("admit", flows = request.flow_count());
        let _entered = span.entered();
        info!(
            "admit {} {:?} {:?} {}",
            request.message().message_type(),
            request.interface(),
            request.received().duration_since(UNIX_EPOCH),
            request.integrity_verified(),
        );
        match port(request.message().flow_descriptors().next()) {
            1 => request
                .decide_all(Decision::accept(Priority::MAX))
                .with_immediate_refresh(),
            2 => {
                let (deferral, answer) = request.defer();
                let decisions: Vec<Decision> = (0..deferral.flow_count())
                    .map(|flow| match flow {
                        0 => Decision::reject(LpmPolicyError::NoPrivileges),
                        _ => Decision::accept(Priority::MIN),
                    })
                    .collect();
                self.later(move || deferral.complete(&decisions).expect("taken"));
                answer
            }
            3 => panic!("asked to"),
            _ => request.decide(|_| Decision::DontCare),
        }
    }

    fn rsvp_objects(&self, request: ObjectsRequest<'_>) -> ObjectsAnswer {
        info!(
            "rsvp_objects {} {:?} {}",
            request.message().message_type(),
            request.interface(),
            request.max_policy_data_size(),
        );
        match port(request.message().flow_descriptors().next()) {
            1 => request.supply(&POLICY_DATA),
            2 => {
                let (deferral, answer) = request.defer();
                self.later(move || deferral.supply(&POLICY_DATA).expect("taken"));
                answer
            }
            3 => request.drop_message(),
            _ => request.none(),
        }
    }

    fn commit_resv(&self, commit: CommitResv<'_>) {
        info!(
            "commit_resv {:?} {:?} flow {:?} rate {:?}",
            commit.decision(),
            commit.interface(),
            commit.flow().map(|flow| flow.index()),
            commit
                .flow_spec()
                .map(|spec| spec.tspec().map(|tspec| tspec.rate)),
        );
    }

    fn delete_state(&self, state: DeleteState<'_>) {
        let flows: Vec<_> = state.flows().map(|flow| flow.index()).collect();
        info!(
            "delete_state {:?} {} {:?} {flows:?}",
            state.reason(),
            state.message().message_type(),
            state.interface(),
        );
    }

    fn deinitialize(self, reason: DeinitReason) -> Result<(), DeinitError> {
        info!("deinitialize {reason}");
        for thread in self.threads.into_inner().expect("nothing panics here") {
            thread.join().expect("the answers were taken");
        }
        let status = NonZeroU32::new(78).expect("not 0");
        Err(DeinitError::new(status, "refused, to be on record"))
    }
}

impl Statistics for Compat {
    fn statistics(&self, report: &mut dyn FnMut(&str, u64)) {
        report("asked", self.asked.load(Relaxed));
    }
}

/// What is wanted of the LPM is in the port of the message's first sender.
fn port(flow: Option<FlowDescriptor<'_>>) -> u16 {
    let filter = flow.and_then(|flow| flow.filters().next());
    filter.and_then(|filter| filter.port()).unwrap_or_default()
}

/// A POLICY_DATA object without options, with an element of P-Type 3.
const POLICY_DATA: [u8; 16] = [0, 16, 14, 1, 0, 8, 0, 0, 0, 8, 0, 3, 1, 2, 3, 4];

lpm_api::export_lpm!(Compat; Statistics);
