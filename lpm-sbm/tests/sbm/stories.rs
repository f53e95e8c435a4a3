//! Single flows, step by step.

use std::time::Duration;

use lpm_api::{CommitDecision, Decision, DeleteReason, FlowKey, LpmPolicyError, Priority};
use lpm_rsvp::build::Path;
use lpm_rsvp::{Message, MessageId, ObjectIndex, RsvpHop, TimeValues};
use lpm_sbm::{
    Answer, InterfaceName, PathState, PoolConfig, Refusal, RemovalReason, Resources, Sbm,
    SbmConfig, StateId, SummaryRefresh,
};

use crate::messages::{Asked, Kind, Policy, Told, received, sender, service, session, tspec};

/// An SBM with a clock.
struct Story {
    sbm: Sbm<Policy>,
    time: i64,
}

const PATH: Asked = Asked {
    kind: Kind::Path,
    session: 1,
    senders: 0b001,
    next_hop: 1,
    style: 0,
    services: [(2, 3); 3],
    refresh_ms: 30_000,
};

/// FF, 3 kB/s for sender 0.
const RESV: Asked = Asked {
    kind: Kind::Resv,
    style: 1,
    ..PATH
};

fn accept(priority: u16) -> Decision {
    Decision::Accept(Priority::new(priority).unwrap())
}

fn pool(kilobytes: u64) -> PoolConfig {
    PoolConfig {
        bandwidth: kilobytes * 8_000,
        max_per_flow: None,
        preemption: false,
    }
}

impl Story {
    fn new(change: impl FnOnce(&mut SbmConfig)) -> Self {
        let mut config = SbmConfig::default();
        change(&mut config);
        Self {
            sbm: Sbm::new(Policy::default(), &config),
            time: 1_000_000,
        }
    }

    fn limited(pool: PoolConfig) -> Self {
        Self::new(|config| config.interfaces = vec![(InterfaceName::Any, pool)])
    }

    fn decided(&mut self, asked: Asked, decision: Decision) -> Answer<[Decision; 3]> {
        let bytes = asked.message();
        let mut index = ObjectIndex::new();
        let message = Message::parse(&bytes, &mut index).unwrap();
        self.sbm.policy().decisions.set([decision; 3]);
        self.sbm.receive(&received(message, 1, self.time)).unwrap()
    }

    fn accepted(&mut self, asked: Asked) -> Answer<[Decision; 3]> {
        self.decided(asked, accept(1))
    }

    fn told(&self) -> Vec<Told> {
        self.sbm.policy().told.take()
    }
}

fn committed(told: &[Told]) -> Vec<CommitDecision> {
    told.iter()
        .filter_map(|told| match told {
            Told::Committed { decision, .. } => Some(*decision),
            Told::Deleted { .. } => None,
        })
        .collect()
}

fn deleted(told: &[Told]) -> Vec<(FlowKey, DeleteReason)> {
    told.iter()
        .filter_map(|told| match told {
            Told::Deleted { flow, reason, .. } => Some((*flow, *reason)),
            Told::Committed { .. } => None,
        })
        .collect()
}

fn path_of(number: u8) -> FlowKey {
    FlowKey::path(session(1), sender(number))
}

#[test]
fn state_lives_157_5_seconds_and_a_refresh_renews_it() {
    let mut story = Story::new(|_| {});
    story.accepted(PATH);
    // A message of another session moves the clock.
    let other = Asked { session: 0, ..PATH };
    story.time += 157_500;
    assert_eq!(story.accepted(other).before, []);
    assert_eq!(story.accepted(PATH).before, []);
    story.time += 157_500;
    assert_eq!(story.accepted(other).before, []);
    story.time += 1;
    let gone = story.accepted(other).before;
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0].flow, path_of(0));
    assert_eq!(
        gone[0].reason,
        RemovalReason::Deleted(DeleteReason::StateTimeout)
    );
    assert_eq!(
        deleted(&story.told()),
        [(path_of(0), DeleteReason::StateTimeout)]
    );
}

#[test]
fn a_flow_ends_with_its_duration_however_often_it_is_refreshed() {
    let mut story = Story::new(|config| config.max_flow_duration = Some(Duration::from_secs(60)));
    for _ in 0..7 {
        assert_eq!(story.accepted(PATH).before, []);
        story.time += 10_000;
    }
    story.accepted(PATH);
    assert_eq!(
        deleted(&story.told()),
        [(path_of(0), DeleteReason::FlowDuration)]
    );
    // That refresh began a flow of its own.
    assert_eq!(story.sbm.flow_count(), 1);
}

#[test]
fn resources_are_committed_once_changed_and_given_back() {
    let mut story = Story::limited(pool(4));
    story.accepted(PATH);
    let interface = crate::messages::interface(1);
    let resources = |answer: Answer<_>| answer.flows[0].resources.unwrap();
    assert_eq!(resources(story.accepted(RESV)), Resources::Allocated);
    assert_eq!(resources(story.accepted(RESV)), Resources::Unchanged);
    assert_eq!(story.sbm.allocated(&interface), 24_000);
    let more = Asked {
        services: [(2, 4); 3],
        ..RESV
    };
    assert_eq!(resources(story.accepted(more)), Resources::Modified);
    assert_eq!(
        committed(&story.told()),
        [
            CommitDecision::ResourcesAllocated,
            CommitDecision::ResourcesModified
        ]
    );
    let too_much = Asked {
        services: [(2, 5); 3],
        ..RESV
    };
    let answer = story.accepted(too_much);
    assert_eq!(
        answer.flows[0].refusal,
        Some(Refusal::Bandwidth {
            asked: 40_000,
            free: 32_000
        })
    );
    // What was there stays.
    assert_eq!(answer.flows[0].resources, Some(Resources::RefusedInPlace));
    assert_eq!(story.sbm.allocated(&interface), 32_000);
    assert_eq!(
        deleted(&story.told())[0].1,
        DeleteReason::AdmissionControlFailed
    );
    story.accepted(Asked {
        kind: Kind::ResvTear,
        ..RESV
    });
    assert_eq!(story.sbm.allocated(&interface), 0);
    assert_eq!(story.sbm.flow_count(), 1);
    // Told by the policy itself.
    assert_eq!(story.told(), []);
}

#[test]
fn next_hops_share_what_the_greater_one_asks_for() {
    let mut story = Story::limited(pool(4));
    story.accepted(PATH);
    story.accepted(RESV);
    let greater = Asked {
        next_hop: 2,
        services: [(2, 4); 3],
        ..RESV
    };
    story.accepted(greater);
    let interface = crate::messages::interface(1);
    assert_eq!(story.sbm.allocated(&interface), 32_000);
    story.told();
    story.accepted(Asked {
        kind: Kind::ResvTear,
        ..greater
    });
    assert_eq!(story.sbm.allocated(&interface), 24_000);
    assert_eq!(
        story.told(),
        [Told::Committed {
            flow: FlowKey::distinct(session(1), sender(0), [10, 0, 9, 1].into()),
            interface: 1,
            merged: service(2, 3),
            decision: CommitDecision::ResourcesModified,
        }]
    );
    let other_service = Asked {
        services: [(0, 1); 3],
        ..greater
    };
    let answer = story.accepted(other_service);
    assert_eq!(answer.flows[0].refusal, Some(Refusal::ServiceConflict));
}

#[test]
fn a_reservation_goes_with_the_path_it_answers() {
    let mut story = Story::new(|_| {});
    story.accepted(PATH);
    story.accepted(Asked {
        senders: 0b010,
        ..PATH
    });
    let shared = Asked {
        style: 2,
        senders: 0b011,
        ..RESV
    };
    assert_eq!(story.accepted(shared).flows[0].path, Some(PathState::Known));
    story.told();
    let tear = Asked {
        kind: Kind::PathTear,
        ..PATH
    };
    // One of two senders: the reservation changes.
    assert_eq!(story.accepted(tear).after, []);
    assert_eq!(
        committed(&story.told()),
        [CommitDecision::ResourcesModified]
    );
    let answer = story.accepted(Asked {
        senders: 0b010,
        ..tear
    });
    let key = FlowKey::shared(session(1), [10, 0, 9, 1].into());
    assert_eq!(answer.after.len(), 1);
    assert_eq!(answer.after[0].flow, key);
    assert_eq!(
        story.told(),
        [Told::Deleted {
            flow: key,
            senders: vec![sender(1)],
            interface: 1,
            reason: DeleteReason::ReceivedPathTear,
        }]
    );
    assert_eq!(story.sbm.flow_count(), 0);
}

#[test]
fn a_reservation_without_path_is_noted_or_refused() {
    for require_path in [false, true] {
        let mut story = Story::new(|config| config.require_path = require_path);
        let answer = story.accepted(RESV);
        assert_eq!(answer.flows[0].path, Some(PathState::NoPath));
        assert_eq!(
            answer.flows[0].refusal,
            require_path.then_some(Refusal::NoPath)
        );
        story.accepted(Asked {
            senders: 0b010,
            ..PATH
        });
        let answer = story.accepted(RESV);
        assert_eq!(answer.flows[0].path, Some(PathState::NoSender));
        assert_eq!(
            answer.flows[0].refusal,
            require_path.then_some(Refusal::NoSender)
        );
    }
}

#[test]
fn a_higher_priority_takes_the_place_of_a_lower_one() {
    for preemption in [false, true] {
        let mut story = Story::limited(PoolConfig {
            preemption,
            ..pool(4)
        });
        story.decided(RESV, accept(5));
        let other = Asked { session: 0, ..RESV };
        assert!(story.decided(other, accept(5)).flows[0].refusal.is_some());
        let answer = story.decided(other, accept(6));
        assert_eq!(answer.flows[0].refusal.is_none(), preemption);
        if preemption {
            assert_eq!(answer.after[0].reason, RemovalReason::Preempted);
            assert_eq!(answer.after[0].flow.session(), session(1));
        }
        let interface = crate::messages::interface(1);
        assert_eq!(story.sbm.allocated(&interface), 24_000);
    }
}

#[test]
fn a_full_table_refuses_what_is_new_and_refreshes_what_is_there() {
    let mut story = Story::new(|config| config.max_flows = 1);
    story.accepted(PATH);
    let answer = story.accepted(RESV);
    assert_eq!(answer.flows[0].refusal, Some(Refusal::TableFull));
    assert_eq!(
        deleted(&story.told())[0].1,
        DeleteReason::AdmissionControlFailed
    );
    assert_eq!(story.accepted(PATH).flows[0].refusal, None);
    assert_eq!(story.sbm.flow_count(), 1);
}

#[test]
fn what_policy_refuses_is_not_kept() {
    let mut story = Story::new(|_| {});
    story.accepted(PATH);
    story.accepted(RESV);
    let refusal = Decision::reject(LpmPolicyError::NoPrivileges);
    let answer = story.decided(PATH, refusal);
    assert_eq!(answer.flows[0].refusal, None);
    // The reservation goes with its path.
    assert_eq!(answer.after.len(), 1);
    assert_eq!(story.sbm.flow_count(), 0);
}

/// A Path with this MESSAGE_ID.
fn path_with_id(identifier: u32) -> Vec<u8> {
    let id = MessageId {
        flags: 0,
        epoch: 9,
        identifier,
    };
    let hop = RsvpHop {
        address: [10, 0, 9, 1].into(),
        logical_interface: 0,
    };
    let refresh = TimeValues { refresh_ms: 30_000 };
    Path::new(session(1), hop, refresh, sender(0), tspec(1.0))
        .message_id(id)
        .build()
        .unwrap()
}

#[test]
fn a_srefresh_renews_what_its_message_ids_made() {
    let mut story = Story::new(|_| {});
    let receive = |story: &mut Story, bytes: &[u8], sender: [u8; 4]| {
        let mut index = ObjectIndex::new();
        let message = Message::parse(bytes, &mut index).unwrap();
        story.sbm.policy().decisions.set([accept(1); 3]);
        let received = received(message, 1, story.time);
        let answer = story.sbm.receive(&received).unwrap();
        let summary = story.sbm.summary_refresh(&message, sender.into());
        (answer.before.len(), summary)
    };
    let srefresh = |identifiers: &[u32]| {
        let list = [vec![9], identifiers.to_vec()].concat();
        let mut bytes = vec![0x10, 15, 0, 0, 64, 0, 0, 0];
        let length = u16::try_from(4 + 4 * list.len()).unwrap();
        bytes.extend(length.to_be_bytes());
        bytes.extend([25, 1]);
        bytes.extend(list.iter().flat_map(|word| word.to_be_bytes()));
        let length = u16::try_from(bytes.len()).unwrap();
        bytes[6..8].copy_from_slice(&length.to_be_bytes());
        bytes
    };
    let id = |identifier| StateId {
        generator: [10, 0, 9, 1].into(),
        epoch: 9,
        identifier,
    };
    let none = |summary: &SummaryRefresh| summary.refreshed.is_empty();
    let router = [10, 0, 9, 1];
    receive(&mut story, &path_with_id(1), router);
    for _ in 0..10 {
        story.time += 100_000;
        let (gone, summary) = receive(&mut story, &srefresh(&[7, 1]), router);
        assert_eq!(gone, 0);
        assert_eq!(
            (summary.refreshed, summary.unknown),
            (vec![id(1)], vec![id(7)])
        );
    }
    // Another node's MESSAGE_ID is another one.
    assert!(none(&receive(&mut story, &srefresh(&[1]), [10, 0, 9, 2]).1));
    // A refresh that is the same but for its MESSAGE_ID takes the old one's place.
    receive(&mut story, &path_with_id(2), router);
    let (_, summary) = receive(&mut story, &srefresh(&[1, 2]), router);
    assert_eq!(
        (summary.refreshed, summary.unknown),
        (vec![id(2)], vec![id(1)])
    );
    // State that is gone is not known any more.
    story.accepted(Asked {
        kind: Kind::PathTear,
        ..PATH
    });
    assert!(none(&receive(&mut story, &srefresh(&[1, 2]), router).1));
    receive(&mut story, &path_with_id(3), router);
    story.time += 157_501;
    let (gone, summary) = receive(&mut story, &srefresh(&[3]), router);
    assert_eq!((gone, summary.unknown), (1, vec![id(3)]));
}
