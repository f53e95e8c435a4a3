//! What an LPM may do beyond version 1 of the ABI, asked for across it: reasons, and state handed
//! over.
#![allow(
    unsafe_code,
    reason = "the PCM's side of an extension; see `extension`"
)]

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::ptr;
use std::sync::Mutex;

use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use abi_stable::std_types::{ROption, RSlice, RStr, RVec};
use lpm_abi::{
    AbiAdmit, AbiCallbacks, AbiDecision, AbiDeinitialize, AbiExtension, AbiHandOver, AbiInit,
    AbiInitialized, AbiInterface, AbiReasons, AbiResult, AbiTime, AdmitCall, AdmitCallFunctions,
    Erased, ExtensionFunctions, LpmStatus,
};
use lpm_api::abi::{Export, Package, abi_message, module};
use lpm_api::lpm_rsvp::build::Path;
use lpm_api::lpm_rsvp::{
    FilterSpec, FlowDescriptor, Message, ObjectIndex, RsvpHop, Session, TimeValues, Tspec,
};
use lpm_api::{
    AdmitRequest, Answer, Decision, HandOver, InitError, InitInfo, Lpm, LpmPolicyError, Priority,
    TakeOverRefused,
};

/// Does what its configuration says.
struct Configured {
    what: String,
    taken: Mutex<Vec<u8>>,
}

impl Lpm for Configured {
    fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
        Ok(Self {
            what: init.config().to_owned(),
            taken: Mutex::default(),
        })
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        request.decide_all(Decision::DontCare)
    }

    fn explain(
        &self,
        request: &AdmitRequest<'_>,
        flow: &FlowDescriptor<'_>,
        decision: Decision,
    ) -> Option<String> {
        let rate = flow.tspec()?.rate;
        match &*self.what {
            "silent" => None,
            "panics" => panic!("as it should"),
            "talks" => Some("ä".repeat(1000)),
            _ => Some(format!(
                "{rate} bytes/s, {}, {decision:?}",
                request.flow_count()
            )),
        }
    }

    fn hand_over(&self) -> Option<HandOver> {
        let taken = || self.taken.lock().expect("not poisoned").clone();
        match &*self.what {
            "silent" => None,
            "panics" => panic!("as it should"),
            "talks" => Some((7, vec![1; 1000])),
            _ => Some((7, taken())),
        }
        .map(|(format, bytes)| HandOver { format, bytes })
    }

    fn take_over(&self, state: HandOver) -> Result<(), TakeOverRefused> {
        match (&*self.what, state.format) {
            ("panics", _) => panic!("as it should"),
            (_, 7) => {
                *self.taken.lock().expect("not poisoned") = state.bytes;
                Ok(())
            }
            (_, other) => Err(TakeOverRefused::unknown_format(other)),
        }
    }
}

/// Leaves all that to what the trait does by itself.
struct Plain;

impl Lpm for Plain {
    fn initialize(_: InitInfo<'_>) -> Result<Self, InitError> {
        Ok(Self)
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        request.decide_all(Decision::accept(Priority::MIN))
    }
}

struct Exported<L>(L);

impl<L: Lpm> Export for Exported<L> {
    type Lpm = L;
    const PACKAGE: Package = Package::of(module_path!(), None, None, None);

    fn extension<'a>(_: &'a L, _: &str) -> Option<AbiExtension<'a>> {
        None
    }
}

fn initialize<L: Lpm>(config: &str) -> AbiInitialized {
    extern "C" fn admit_result(_: AbiResult, _: RSlice<'_, AbiDecision>) -> u32 {
        unreachable!("nothing is put off")
    }
    extern "C" fn objects_result(_: AbiResult, _: RSlice<'_, u8>) -> u32 {
        unreachable!("nothing is put off")
    }
    let init = AbiInit {
        handle: 1,
        result_time_limit: 1000,
        lpm_count: 1,
        pcm_version: lpm_abi::API_VERSION,
        name: RStr::from_str("test"),
        config: RStr::from_str(config),
        config_source: RStr::from_str("test"),
        config_dir: ROption::RNone,
        callbacks: AbiCallbacks {
            admit_result,
            objects_result,
        },
    };
    let initialized = module::<Exported<L>>().initialize()(init).into_result();
    initialized.unwrap_or_else(|failure| panic!("{failure:?}"))
}

/// As the PCM gets at an extension.
fn extension<F: ExtensionFunctions>(lpm: &AbiInitialized) -> (&Erased, &'static F) {
    let offered = lpm.lpm().extension(RStr::from_str(F::ID)).into_option();
    let offered = offered.expect("every LPM offers it");
    check_layout_compatibility(F::LAYOUT, offered.layout())
        .unwrap_or_else(|differ| panic!("{differ}"));
    // SAFETY: the line above compared the layouts.
    unsafe { offered.functions::<F>() }
}

static NO_CALL: AdmitCallFunctions = {
    unsafe extern "C" fn issue(_: *const ()) -> u64 {
        unreachable!("not asked for")
    }
    unsafe extern "C" fn received(_: *const ()) -> AbiTime {
        unreachable!("not asked for")
    }
    unsafe extern "C" fn interface(_: *const ()) -> AbiInterface {
        unreachable!("not asked for")
    }
    AdmitCallFunctions {
        issue,
        received,
        interface,
    }
};

/// Asks with a Path of 125 kB/s.
fn ask<R>(ask: impl FnOnce(&AbiAdmit<'_>) -> R) -> R {
    let sender = Ipv4Addr::new(10, 0, 0, 1);
    let hop = RsvpHop {
        address: sender.into(),
        logical_interface: 1,
    };
    let tspec = Tspec {
        rate: 125_000.0,
        bucket: 3_000.0,
        peak_rate: 250_000.0,
        min_policed: 64,
        max_packet: 1500,
    };
    let session = Session::new(Ipv4Addr::new(10, 0, 0, 2), 17, 5004).expect("a session");
    let bytes = Path::new(
        session,
        hop,
        TimeValues::DEFAULT,
        FilterSpec::new(sender, 5004),
        tspec,
    )
    .build()
    .expect("fits");
    let mut index = ObjectIndex::new();
    let message = Message::parse(&bytes, &mut index).expect("well-formed");
    let places = [Cell::new(AbiDecision::UNANSWERED)];
    ask(&AbiAdmit {
        integrity_verified: false,
        message: abi_message(message),
        // SAFETY: they take any pointer.
        call: unsafe { AdmitCall::new(ptr::null(), &NO_CALL) },
        places: RSlice::from_slice(&places),
    })
}

fn explain(lpm: &AbiInitialized, flow: u16, decision: AbiDecision) -> Option<String> {
    let (lpm, reasons) = extension::<AbiReasons>(lpm);
    // SAFETY: both come from the same extension.
    ask(|request| unsafe { reasons.explain(lpm, request, flow, decision) })
}

fn hand_over(lpm: &AbiInitialized, limit: u64) -> Result<Option<HandOver>, (LpmStatus, String)> {
    let (lpm, functions) = extension::<AbiHandOver>(lpm);
    let mut state = RVec::new();
    // SAFETY: both come from the same extension.
    let format = unsafe { functions.hand_over(lpm, limit, &mut state) };
    let bytes = state.to_vec();
    let state = format.map(|format| format.map(|format| HandOver { format, bytes }));
    state.map_err(|failure| (LpmStatus(failure.status), failure.message.into_string()))
}

fn take_over(lpm: &AbiInitialized, format: u32, state: &[u8]) -> Result<(), (LpmStatus, String)> {
    let (lpm, functions) = extension::<AbiHandOver>(lpm);
    // SAFETY: both come from the same extension.
    let taken = unsafe { functions.take_over(lpm, format, state) };
    taken.map_err(|failure| (LpmStatus(failure.status), failure.message.into_string()))
}

fn rejection() -> AbiDecision {
    Decision::reject(LpmPolicyError::NoPrivileges).into()
}

#[test]
fn decisions_are_written_where_the_pcm_reads_them() {
    let lpm = initialize::<Plain>("");
    ask(|request| {
        assert!(lpm.admit(request).is_plain());
        let place = request.places[0].get();
        assert_eq!(
            Decision::from_abi(place),
            Some(Decision::accept(Priority::MIN))
        );
    });
}

#[test]
fn an_lpm_that_is_gone_is_not_asked() {
    let mut lpm = initialize::<Plain>("");
    lpm.deinitialize(AbiDeinitialize::Shutdown).expect("ends");
    let status = ask(|request| lpm.admit(request).status());
    assert_eq!(status, LpmStatus::INVALID_LPM_HANDLE);
    assert!(lpm.lpm().extension(AbiReasons::ID.into()).is_none());
    let again = lpm.deinitialize(AbiDeinitialize::Shutdown);
    assert_eq!(
        again.expect_err("once").status,
        LpmStatus::INVALID_LPM_HANDLE.0
    );
}

#[test]
fn a_reason_is_told_of_the_flow_and_the_decision() {
    let lpm = initialize::<Configured>("");
    let reason = explain(&lpm, 0, rejection()).expect("has one");
    assert!(reason.starts_with("125000 bytes/s, 1, Reject("), "{reason}");
}

#[test]
fn no_reason_where_there_is_none_to_tell() {
    for config in ["silent", "panics"] {
        let lpm = initialize::<Configured>(config);
        assert_eq!(explain(&lpm, 0, rejection()), None, "{config}");
    }
    assert_eq!(explain(&initialize::<Plain>(""), 0, rejection()), None);
    let lpm = initialize::<Configured>("");
    assert_eq!(explain(&lpm, 1, rejection()), None, "there is no such flow");
    assert_eq!(
        explain(&lpm, 0, AbiDecision::UNANSWERED),
        None,
        "that is no decision"
    );
}

#[test]
fn a_reason_that_is_too_long_is_cut_between_characters() {
    let reason = explain(&initialize::<Configured>("talks"), 0, rejection()).expect("has one");
    assert_eq!(reason, "ä".repeat(AbiReasons::LIMIT / 2));
}

#[test]
fn state_goes_from_one_lpm_to_the_next() {
    let (old, new) = (initialize::<Configured>(""), initialize::<Configured>(""));
    for bytes in [&b"ada holds 1 flow"[..], b""] {
        take_over(&old, 7, bytes).expect("is read");
        let state = hand_over(&old, 16).expect("fits").expect("has some");
        assert_eq!((state.format, &*state.bytes), (7, bytes));
        take_over(&new, state.format, &state.bytes).expect("is read");
        assert_eq!(hand_over(&new, 16), Ok(Some(state)));
    }
}

#[test]
fn an_lpm_with_nothing_to_leave_leaves_nothing() {
    assert_eq!(hand_over(&initialize::<Plain>(""), 0), Ok(None));
    assert_eq!(hand_over(&initialize::<Configured>("silent"), 0), Ok(None));
}

#[test]
fn state_that_cannot_be_used_is_refused() {
    let refused = |lpm: &AbiInitialized| {
        let message = "state of format 8, which this LPM does not read";
        let expected = Err((LpmStatus::REFUSED, message.to_owned()));
        assert_eq!(take_over(lpm, 8, b"x"), expected);
    };
    refused(&initialize::<Plain>(""));
    refused(&initialize::<Configured>(""));
}

#[test]
fn a_hand_over_that_fails_says_why() {
    let lpm = initialize::<Configured>("talks");
    let message = "hands over 1000 bytes, of which the PCM takes 999";
    let expected = Err((LpmStatus::INVALID_RESULTS, message.to_owned()));
    assert_eq!(hand_over(&lpm, 999), expected);
    assert!(hand_over(&lpm, 1000).is_ok());
    let lpm = initialize::<Configured>("panics");
    let panicked = |function| Err((LpmStatus::PANICKED, format!("panicked in {function}")));
    assert_eq!(hand_over(&lpm, 0), panicked("hand_over").map(|()| None));
    assert_eq!(take_over(&lpm, 7, b""), panicked("take_over"));
}
