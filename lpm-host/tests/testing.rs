//! The PCM for unit tests, driven as an LPM author would.
#![forbid(unsafe_code)]

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use lpm_api::lpm_rsvp::build::Identity;
use lpm_api::lpm_rsvp::{PolicyElement, ResvStyle};
use lpm_api::{
    AddressRow, AddressTableRefused, AdmitRequest, Answer, CommitDecision, CommitResv, Decision,
    Deferral, DeinitError, DeinitReason, DeleteReason, DeleteState, InitError, InitInfo, Lpm,
    LpmPolicyError, LpmStatus, ObjectsAnswer, ObjectsDeferral, ObjectsRequest, PeType, Priority,
    ResultError, Statistics,
};
use lpm_host::error::LpmStartError;
use lpm_host::testing::{Answered, Supplied, TestPcm, messages};

const ACCEPT: Decision = Decision::accept(Priority::MIN);

/// Accepts the user that is its configuration, and does odd things for some names.
struct Guest {
    name: String,
    kept: Mutex<Vec<Deferral>>,
    objects: Mutex<Vec<ObjectsDeferral>>,
    calls: Mutex<Vec<String>>,
    asked: AtomicU32,
    alive: Arc<()>,
}

impl Guest {
    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }
}

impl Lpm for Guest {
    fn initialize(init: InitInfo<'_>) -> Result<Self, InitError> {
        if init.config() == "refuse" {
            let source = init.config_source();
            return Err(InitError::config(format!("{source}: no name")));
        }
        assert_ne!(init.config(), "panic");
        assert_eq!(init.lpm_count(), 1);
        Ok(Self {
            name: init.config().to_owned(),
            kept: Mutex::default(),
            objects: Mutex::default(),
            calls: Mutex::default(),
            asked: AtomicU32::new(0),
            alive: Arc::default(),
        })
    }

    fn pe_type(&self) -> PeType {
        PeType::AUTH_USER
    }

    fn ip_address_table(&self, table: &[AddressRow]) -> Result<(), AddressTableRefused> {
        self.note(format!("addresses {}", table.len()));
        match table.len() {
            2.. => Err(AddressTableRefused),
            _ => Ok(()),
        }
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut names = request
            .policy_elements()
            .filter_map(|element| match element {
                PolicyElement::AuthUser(user) => user.locator(),
                _ => None,
            });
        let name = names.next().map(|name| name.to_string());
        match name.unwrap_or_default().as_str() {
            "later" => {
                let (deferral, answer) = request.defer();
                self.kept.lock().unwrap().push(deferral);
                answer
            }
            "from a thread" => {
                let (deferral, answer) = request.defer();
                thread::spawn(move || deferral.complete_all(ACCEPT).unwrap());
                answer
            }
            "forgotten" => request.defer().1,
            "panic" => panic!("as asked"),
            "by flow" => request.decide(|flow| match flow.index() {
                0 => ACCEPT,
                _ => Decision::DropMessage,
            }),
            name if name == self.name => request.decide_all(ACCEPT).with_immediate_refresh(),
            _ => request.decide_all(Decision::reject(LpmPolicyError::UnknownUser)),
        }
    }

    fn rsvp_objects(&self, request: ObjectsRequest<'_>) -> ObjectsAnswer {
        match self.name.as_str() {
            "drops" => request.drop_message(),
            "supplies" => request.supply(&[0, 12, 14, 1, 0, 8, 0, 0, 0, 4, 0, 2]),
            "malformed" => request.supply(&[0, 9, 14, 1]),
            "later" => {
                let (deferral, answer) = request.defer();
                self.objects.lock().unwrap().push(deferral);
                answer
            }
            _ => request.none(),
        }
    }

    fn commit_resv(&self, commit: CommitResv<'_>) {
        let sender = commit.flow_key().and_then(|key| key.sender());
        self.note(format!("commit {:?} {sender:?}", commit.decision()));
    }

    fn delete_state(&self, request: DeleteState<'_>) {
        assert_ne!(self.name, "panics in delete_state");
        self.note(format!("delete {:?}", request.reason()));
    }

    fn deinitialize(self, reason: DeinitReason) -> Result<(), DeinitError> {
        match self.name.as_str() {
            "errs" => Err(DeinitError::new(NonZeroU32::MIN, format!("{reason}"))),
            _ => Ok(()),
        }
    }
}

impl Statistics for Guest {
    fn statistics(&self, report: &mut dyn FnMut(&str, u64)) {
        report("asked", self.asked.load(Ordering::Relaxed).into());
    }
}

fn decided(decisions: &[Decision], immediate_refresh: bool) -> Option<Answered> {
    Some(Answered::Decided {
        decisions: decisions.to_vec(),
        immediate_refresh,
    })
}

/// Notes who asks.
#[derive(Default)]
struct WhoAsks(Mutex<Vec<Option<String>>>);

impl Lpm for WhoAsks {
    fn initialize(_: InitInfo<'_>) -> Result<Self, InitError> {
        Ok(Self::default())
    }

    fn admit(&self, request: AdmitRequest<'_>) -> Answer {
        let user = request.user().map(|name| name.to_string());
        self.0.lock().unwrap().push(user);
        request.decide_all(Decision::DontCare)
    }
}

#[test]
fn the_user_is_who_asks() {
    let pcm = TestPcm::<WhoAsks>::start("").unwrap();
    let by_id = Identity::user().credential("älice");
    let ticket = Identity::user().kerberos_ticket(&[1, 2, 3]);
    for message in [
        messages::path().user("CN=Alice"),
        messages::path().element(by_id),
        messages::path().application("CN=Call").user("CN=Bob"),
        messages::path().element(ticket),
        messages::path(),
    ] {
        assert_eq!(pcm.admit(&message.build()), [Decision::DontCare]);
    }
    let asked = pcm.lpm().0.lock().unwrap();
    let asked: Vec<_> = asked.iter().map(Option::as_deref).collect();
    let nobody = None;
    assert_eq!(
        asked,
        [
            Some("CN=Alice"),
            Some("älice"),
            Some("CN=Bob"),
            nobody,
            nobody
        ]
    );
}

#[test]
fn decisions_are_those_of_the_lpm() {
    let pcm = TestPcm::<Guest>::start("Alice").unwrap();
    assert_eq!(pcm.pe_type(), PeType::AUTH_USER);
    let unknown = Decision::reject(LpmPolicyError::UnknownUser);
    assert_eq!(pcm.admit(&messages::path().user("Alice").build()), [ACCEPT]);
    assert_eq!(pcm.admit(&messages::path().user("Bob").build()), [unknown]);
    // The name of an application is none of its elements.
    let application = messages::path().application("Alice").build();
    assert_eq!(pcm.admit(&application), [unknown]);

    let two = messages::resv()
        .flow("198.51.100.7", 4000)
        .flow("198.51.100.8", 4000)
        .user("by flow");
    let drop = Decision::DropMessage;
    assert_eq!(pcm.admit(&two.build()), [ACCEPT, drop]);
    let shared = two.style(ResvStyle::SharedExplicit).build();
    assert_eq!(pcm.admit(&shared), [ACCEPT]);

    let answer = pcm.admit_later(&messages::path().user("Alice").build());
    assert_eq!(answer.answer(), decided(&[ACCEPT], true));
    let mut counters = Vec::new();
    pcm.lpm()
        .statistics(&mut |name, value| counters.push((name.to_owned(), value)));
    assert_eq!(counters, [("asked".to_owned(), 6)]);
}

#[test]
fn an_answer_may_come_later() {
    let pcm = TestPcm::<Guest>::start("").unwrap();
    let answer = pcm.admit_later(&messages::path().user("later").build());
    assert_eq!(answer.answer(), None);
    let deferral = pcm.lpm().kept.lock().unwrap().remove(0);
    assert_eq!(deferral.complete(&[ACCEPT]), Ok(()));
    assert_eq!(answer.answer(), decided(&[ACCEPT], false));

    let from_a_thread = messages::path().user("from a thread").build();
    assert_eq!(pcm.admit(&from_a_thread), [ACCEPT]);

    let forgotten = pcm.admit_later(&messages::path().user("forgotten").build());
    let failed = Some(Answered::Failed(LpmStatus::FORGOTTEN));
    assert_eq!(forgotten.answer(), failed);
}

#[test]
fn time_passes_when_the_test_says_so() {
    let pcm = TestPcm::<Guest>::builder()
        .result_time_limit(Duration::from_secs(2))
        .start()
        .unwrap();
    let noon = pcm.now();
    let answer = pcm.admit_later(&messages::path().user("later").build());
    pcm.advance(Duration::from_millis(1_999));
    assert_eq!(answer.answer(), None);
    pcm.advance(Duration::from_millis(1));
    let late = Some(Answered::Failed(LpmStatus::TIME_OUT));
    assert_eq!(answer.answer(), late);
    let deferral = pcm.lpm().kept.lock().unwrap().remove(0);
    assert_eq!(deferral.complete(&[ACCEPT]), Err(ResultError::TimeOut));
    assert_eq!(answer.answer(), late);
    assert_eq!(pcm.now(), noon + Duration::from_secs(2));
}

#[test]
fn answers_that_are_none_are_refused() {
    let pcm = TestPcm::<Guest>::start("").unwrap();
    let answer = pcm.admit_later(&messages::path().user("later").build());
    let deferral = pcm.lpm().kept.lock().unwrap().remove(0);
    let taken = deferral.complete(&[ACCEPT, ACCEPT]);
    assert_eq!(taken, Err(ResultError::Invalid));
    let invalid = Some(Answered::Failed(LpmStatus::INVALID_RESULTS));
    assert_eq!(answer.answer(), invalid);
}

#[test]
fn objects_are_checked_as_a_pcm_checks_them() {
    let supplied = |config: &str, room| {
        let pcm = TestPcm::<Guest>::start(config).unwrap();
        pcm.rsvp_objects(&messages::path().build(), room)
    };
    assert_eq!(supplied("", 100), Supplied::Objects(Vec::new()));
    assert_eq!(supplied("drops", 100), Supplied::Drop);
    assert!(matches!(supplied("supplies", 12), Supplied::Objects(objects) if objects.len() == 12));
    let invalid = Supplied::Failed(LpmStatus::INVALID_RESULTS);
    assert_eq!(supplied("supplies", 11), invalid);
    assert_eq!(supplied("malformed", 100), invalid);

    let pcm = TestPcm::<Guest>::start("later").unwrap();
    let pending = pcm.rsvp_objects_later(&messages::path().build(), 100);
    assert_eq!(pending.answer(), None);
    let deferral = pcm.lpm().objects.lock().unwrap().remove(0);
    assert_eq!(deferral.drop_message(), Ok(()));
    assert_eq!(pending.wait(), Supplied::Drop);
}

#[test]
fn the_lpm_is_told_what_happens() {
    let pcm = TestPcm::<Guest>::start("").unwrap();
    let resv = messages::resv().build();
    pcm.commit_resv(&resv, 0, CommitDecision::ResourcesAllocated);
    pcm.delete_state(&resv, DeleteReason::StateTimeout);
    let row = AddressRow {
        interface_index: 1,
        media_type: 6,
        address: "192.0.2.1".parse().unwrap(),
        prefix_length: 24,
    };
    assert_eq!(pcm.ip_address_table(&[row]), Ok(()));
    assert_eq!(pcm.ip_address_table(&[row, row]), Err(AddressTableRefused));
    let calls = pcm.lpm().calls.lock().unwrap().clone();
    assert_eq!(calls[0], "addresses 0");
    let commit = "commit ResourcesAllocated Some(";
    assert!(calls[1].starts_with(commit), "{calls:?}");
    let last = ["delete StateTimeout", "addresses 1", "addresses 2"];
    assert_eq!(calls[2..], last);
}

#[test]
fn an_lpm_that_does_not_start_says_why() {
    let refusal = |config| match TestPcm::<Guest>::start(config) {
        Err(LpmStartError::Initialize { status, message }) => (status, message),
        other => panic!("{other:?}"),
    };
    let refused = "configuration: no name".to_owned();
    assert_eq!(refusal("refuse"), (LpmStatus::BAD_CONFIGURATION, refused));
    assert_eq!(refusal("panic").0, LpmStatus::PANICKED);
}

#[test]
fn the_lpm_is_gone_after_its_end() {
    let pcm = TestPcm::<Guest>::start("errs").unwrap();
    let alive = Arc::downgrade(&pcm.lpm().alive);
    let ended = pcm.deinitialize(DeinitReason::Demotion);
    let error = ended.expect_err("it errs");
    assert_eq!((error.status, &*error.message), (LpmStatus(1), "demotion"));
    assert!(alive.upgrade().is_none());

    let pcm = TestPcm::<Guest>::start("").unwrap();
    let alive = Arc::downgrade(&pcm.lpm().alive);
    let open = pcm.admit_later(&messages::path().user("later").build());
    drop(pcm);
    let failed = Some(Answered::Failed(LpmStatus::INVALID_LPM_HANDLE));
    assert_eq!(open.answer(), failed);
    assert!(alive.upgrade().is_none());
}

#[test]
#[should_panic(expected = "admit failed: panicked")]
fn a_panic_of_the_lpm_fails_the_test() {
    let pcm = TestPcm::<Guest>::start("").unwrap();
    let _ = pcm.admit(&messages::path().user("panic").build());
}

#[test]
#[should_panic(expected = "delete_state failed: panicked")]
fn so_does_one_in_a_call_without_a_result() {
    let pcm = TestPcm::<Guest>::start("panics in delete_state").unwrap();
    let message = messages::path_tear().build();
    pcm.delete_state(&message, DeleteReason::ReceivedPathTear);
}

#[test]
fn every_message_can_be_built() {
    let ipv6 = messages::path()
        .session("2001:db8::1", 5004)
        .hop("2001:db8::2")
        .flow("2001:db8::3", 1);
    for builder in [
        messages::path(),
        messages::path_tear(),
        messages::path_err().error(1, 2),
        messages::resv(),
        messages::resv().style(ResvStyle::WildcardFilter),
        messages::resv_tear(),
        messages::resv_tear().style(ResvStyle::SharedExplicit),
        messages::resv_err().user("Alice"),
        ipv6,
    ] {
        let message = builder.build();
        assert_eq!(message.view().flow_descriptors().count(), 1, "{builder:?}");
    }
}
