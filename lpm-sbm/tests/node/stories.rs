//! Stories of single flows.

use std::net::IpAddr;
use std::time::Duration;

use lpm_api::{Decision, DeleteReason, LpmPolicyError, Priority};
use lpm_rsvp::build::{
    AdSpec, Flows, Identity, PathErr, PolicyData, ResvConf, ResvErr, Senders, policy_data_object,
};
use lpm_rsvp::intserv::GeneralParameters;
use lpm_rsvp::{ErrorSpec, FilterSpec, MessageType, ResvConfirm, ResvStyle, RsvpHop, TimeValues};
use lpm_sbm::{DropReason, InterfaceName, NodeConfig, NodeInterface, PoolConfig, Refusal, Ruling};

use crate::world::{
    ROUTER, World, accepted, fixed, hop, host, interfaces, load, path, path_tear, read, resv,
    resv_tear, sender, session, tspec,
};

const SECOND: Duration = Duration::from_secs(1);

fn world() -> World {
    World::new(NodeConfig::default())
}

/// A world whose second link has this bandwidth in bit/s.
fn narrow(bandwidth: u64, preemption: bool) -> World {
    let mut config = NodeConfig::default();
    let pool = PoolConfig {
        bandwidth,
        max_per_flow: None,
        preemption,
    };
    config.sbm.interfaces = vec![(InterfaceName::Index(2), pool)];
    World::new(config)
}

/// A Path of this sender has gone through.
fn announced(mut world: World, senders: &[FilterSpec]) -> World {
    for sender in senders {
        world.receive(1, &path(*sender).build().unwrap());
    }
    assert_eq!(world.sent(MessageType::Path).len(), senders.len());
    world
}

#[test]
fn a_path_goes_on_in_the_name_of_this_node() {
    let mut world = world();
    let general = GeneralParameters {
        break_bit: false,
        is_hops: 3,
        path_bandwidth: 1e6,
        minimum_latency: 0,
        path_mtu: 9000,
    };
    let ad_spec = AdSpec {
        general,
        guaranteed: None,
        controlled_load: Some(false),
    };
    world.receive(1, &path(sender(1)).adspec(ad_spec).build().unwrap());
    let sent = world.sent(MessageType::Path);
    assert_eq!(sent.len(), 1);
    let datagram = &sent[0];
    assert_eq!((datagram.interface, datagram.ttl), (2, 63));
    assert!(datagram.router_alert);
    assert_eq!(datagram.source, IpAddr::from(host(1, 1)));
    assert_eq!(datagram.destination, session().address());
    read(datagram, |message| {
        assert_eq!(message.hop(), Some(hop(ROUTER[2], 2)));
        assert_eq!(message.header().send_ttl, 63);
        assert_eq!(message.sender_tspec(), Some(tspec(1e6)));
        let general = message.adspec().unwrap().general().unwrap();
        assert_eq!((general.is_hops, general.path_mtu), (4, 1500));
        assert!(!general.break_bit);
    });
    assert_eq!(world.rulings, [Ruling::Granted(Priority::MIN)]);
}

#[test]
fn a_hop_without_rsvp_before_this_one_is_told() {
    let mut world = world();
    let ad_spec = AdSpec {
        general: GeneralParameters {
            break_bit: false,
            is_hops: 3,
            path_bandwidth: 1e6,
            minimum_latency: 0,
            path_mtu: 9000,
        },
        guaranteed: None,
        controlled_load: None,
    };
    let bytes = path(sender(1)).adspec(ad_spec).build().unwrap();
    // It was sent with 64.
    world.receive_for(1, session().address(), 60, &bytes);
    let sent = world.sent(MessageType::Path);
    assert_eq!(sent[0].ttl, 59);
    read(&sent[0], |message| {
        assert!(message.adspec().unwrap().general().unwrap().break_bit);
    });
}

#[test]
fn a_refresh_is_not_asked_about_and_a_change_is() {
    let mut world = announced(world(), &[sender(1)]);
    world.receive(1, &path(sender(1)).build().unwrap());
    assert_eq!((world.questions(), world.sent.len()), (1, 0));
    let user = PolicyData::new().element(Identity::user().locator("CN=Bob"));
    world.receive(1, &path(sender(1)).policy_data(user).build().unwrap());
    assert_eq!(world.questions(), 2);
    assert_eq!(world.sent(MessageType::Path).len(), 1);
}

#[test]
fn state_ends_when_it_is_not_refreshed_by_the_period_that_came_with_it() {
    let short = TimeValues { refresh_ms: 1_000 };
    let mut world = world();
    let bytes =
        lpm_rsvp::build::Path::new(session(), hop(host(1, 1), 7), short, sender(1), tspec(1e6));
    world.receive(1, &bytes.build().unwrap());
    world.pass(5 * SECOND);
    assert_eq!(world.node.flow_count(), 1);
    world.receive(1, &bytes.build().unwrap());
    world.pass(5 * SECOND);
    assert_eq!(world.node.flow_count(), 1);
    // (3 + 0.5) · 1.5 · 1 s = 5.25 s
    world.pass(SECOND);
    world.assert_empty();
    assert_eq!(world.gone(), [DeleteReason::StateTimeout]);
    assert_eq!(world.sent(MessageType::PathTear).len(), 1);
}

#[test]
fn a_neighbour_cannot_have_its_state_last_for_months() {
    let longest = TimeValues {
        refresh_ms: u32::MAX,
    };
    let mut world = world();
    let own = hop(host(1, 1), 7);
    let path = lpm_rsvp::build::Path::new(session(), own, longest, sender(1), tspec(1e6));
    world.receive(1, &path.build().unwrap());
    let flows = Flows::FixedFilter(vec![(load(1e6), sender(1))]);
    let resv = lpm_rsvp::build::Resv::new(session(), hop(host(2, 1), 2), longest, flows);
    world.receive(2, &resv.build().unwrap());
    assert_eq!(world.node.flow_count(), 2);
    let announced = Duration::from_millis(u32::MAX.into());
    assert_eq!(world.bounded, [announced; 2]);
    // (3 + 0.5) · 1.5 · 1 h = 5.25 h
    world.pass(5 * 3_600 * SECOND);
    assert_eq!(world.node.flow_count(), 2);
    world.pass(900 * SECOND + SECOND);
    world.assert_empty();
    // An hour is no longer than an hour.
    let hour = TimeValues {
        refresh_ms: 3_600_000,
    };
    let path = lpm_rsvp::build::Path::new(session(), own, hour, sender(1), tspec(1e6));
    world.receive(1, &path.build().unwrap());
    assert_eq!(world.bounded.len(), 2);
}

#[test]
fn state_is_refreshed_in_the_neighbours_with_jitter() {
    let mut world = announced(world(), &[sender(1)]);
    world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
    let (mut paths, mut resvs) = (0, 0);
    for _ in 0..100 {
        world.pass(30 * SECOND);
        world.receive(1, &path(sender(1)).build().unwrap());
        world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
        for datagram in std::mem::take(&mut world.sent) {
            match MessageType::from(datagram.bytes[1]) {
                MessageType::Path => paths += 1,
                MessageType::Resv => resvs += 1,
                other => panic!("{other} was sent"),
            }
        }
    }
    // Every 15 to 45 seconds.
    for count in [paths, resvs] {
        assert!((67..=200).contains(&count), "{count}");
    }
    assert_eq!(world.questions(), 2);
    world.pass(200 * SECOND);
    world.assert_empty();
}

#[test]
fn what_is_reserved_is_asked_of_the_previous_hop() {
    let mut world = announced(world(), &[sender(1)]);
    let confirmed = fixed(1e5, &[sender(1)]).confirm(host(2, 1));
    world.receive(2, &confirmed.build().unwrap());
    assert_eq!(world.kernel.values().collect::<Vec<_>>(), [&(2, 1e5, 1)]);
    assert_eq!(world.committed(), 1);
    let sent = world.sent(MessageType::Resv);
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].interface, sent[0].router_alert), (1, false));
    assert_eq!(sent[0].source, IpAddr::from(ROUTER[1]));
    assert_eq!(sent[0].destination, IpAddr::from(host(1, 1)));
    read(&sent[0], |message| {
        // It calls the interface what the previous hop called it.
        assert_eq!(message.hop(), Some(hop(ROUTER[1], 7)));
        assert_eq!(message.style(), Some(ResvStyle::FixedFilter));
        let flow = message.flow_descriptors().next().unwrap();
        assert_eq!(flow.tspec(), Some(tspec(1e5)));
        // The previous hop is to confirm it.
        let confirm = message.resv_confirm().unwrap();
        assert_eq!(confirm.receiver, IpAddr::from(host(2, 1)));
    });

    // What is asked for already is confirmed here.
    world.receive(2, &confirmed.build().unwrap());
    let sent = world.sent(MessageType::ResvConf);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].router_alert);
    assert_eq!(sent[0].destination, IpAddr::from(host(2, 1)));

    world.receive(2, &fixed(2e5, &[sender(1)]).build().unwrap());
    assert_eq!(world.kernel.values().collect::<Vec<_>>(), [&(2, 2e5, 1)]);
    assert_eq!(world.sent(MessageType::Resv).len(), 1);
    world.receive(2, &resv_tear(Senders::FixedFilter(vec![sender(1)])));
    assert_eq!(world.sent(MessageType::ResvTear).len(), 1);
    assert_eq!(world.node.flow_count(), 1);
    world.receive(1, &path_tear(sender(1)));
    assert_eq!(world.sent(MessageType::PathTear).len(), 1);
    world.assert_empty();
}

#[test]
fn what_policy_refuses_is_answered_with_its_code() {
    let mut world = world();
    world.decision = Decision::reject(LpmPolicyError::NoPrivileges);
    let value = world.decision.error_value();
    world.receive(1, &path(sender(1)).build().unwrap());
    let sent = world.sent(MessageType::PathErr);
    assert_eq!(sent[0].destination, IpAddr::from(host(1, 1)));
    let error = |datagram| read(datagram, |message| message.error_spec().unwrap());
    let expected = |node: std::net::Ipv4Addr, code, value| ErrorSpec {
        node: node.into(),
        flags: 0,
        code,
        value,
    };
    assert_eq!(error(&sent[0]), expected(ROUTER[1], 2, value));
    world.assert_empty();

    world.decision = accepted();
    world.receive(1, &path(sender(1)).build().unwrap());
    world.decision = Decision::reject(LpmPolicyError::NoPrivileges);
    world.receive(2, &fixed(1e5, &[sender(1), sender(2)]).build().unwrap());
    let sent = world.sent(MessageType::ResvErr);
    assert_eq!(sent.len(), 2, "one for each flow descriptor");
    assert_eq!(error(&sent[0]), expected(ROUTER[2], 2, value));
    assert_eq!(sent[0].destination, IpAddr::from(host(2, 1)));
    read(&sent[1], |message| {
        let flow = message.flow_descriptors().next().unwrap();
        assert_eq!(flow.filters().collect::<Vec<_>>(), [sender(2)]);
        assert_eq!(message.hop(), Some(hop(ROUTER[2], 2)));
    });
    assert_eq!(world.kernel.len(), 0);

    // A word less: no answer at all.
    world.decision = Decision::DropMessage;
    world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
    assert_eq!(world.sent.len(), 0);
}

#[test]
fn a_resv_needs_a_path_of_its_senders_and_the_style_of_the_others() {
    let mut world = world();
    let codes = |world: &mut World| {
        let sent = world.sent(MessageType::ResvErr);
        let codes = sent.iter();
        let code = |message: &lpm_rsvp::Message<'_>| message.error_spec().unwrap().code;
        codes.map(|sent| read(sent, code)).collect::<Vec<_>>()
    };
    world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
    assert_eq!(codes(&mut world), [3]);
    let mut world = announced(world, &[sender(1)]);
    world.receive(2, &fixed(1e5, &[sender(2)]).build().unwrap());
    assert_eq!(codes(&mut world), [4]);
    // The data does not go out there.
    let elsewhere = lpm_rsvp::build::Resv::new(
        session(),
        hop(host(3, 1), 3),
        TimeValues::DEFAULT,
        Flows::FixedFilter(vec![(load(1e5), sender(1))]),
    );
    world.receive(3, &elsewhere.build().unwrap());
    assert_eq!(codes(&mut world), [4]);
    world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
    world.receive(2, &resv(Flows::WildcardFilter(load(1e5))).build().unwrap());
    assert_eq!(codes(&mut world), [5]);
    assert_eq!(world.kernel.len(), 1);
}

#[test]
fn senders_that_share_are_asked_for_at_each_previous_hop() {
    let far = FilterSpec::new(host(3, 9), 4000);
    let mut world = announced(world(), &[sender(1), sender(2)]);
    let from_far = lpm_rsvp::build::Path::new(
        session(),
        hop(host(3, 9), 1),
        TimeValues::DEFAULT,
        far,
        tspec(1e6),
    );
    world.receive(3, &from_far.build().unwrap());
    world.sent.clear();
    let all = vec![sender(1), sender(2), far];
    world.receive(
        2,
        &resv(Flows::SharedExplicit(load(1e5), all)).build().unwrap(),
    );
    assert_eq!(world.kernel.values().collect::<Vec<_>>(), [&(2, 1e5, 3)]);
    let sent = world.sent(MessageType::Resv);
    let asked = |datagram: &_| {
        read(datagram, |message| {
            let flow = message.flow_descriptors().next().unwrap();
            flow.filters().collect::<Vec<_>>()
        })
    };
    // Sender 2 is a previous hop of its own.
    let mut all: Vec<_> = sent
        .iter()
        .map(|sent| (sent.interface, asked(sent)))
        .collect();
    all.sort();
    assert_eq!(
        all,
        [(1, vec![sender(1)]), (1, vec![sender(2)]), (3, vec![far])]
    );

    world.receive(2, &resv_tear(Senders::SharedExplicit(vec![far])));
    let sent = world.sent(MessageType::ResvTear);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].interface, 3);
    assert_eq!(world.kernel.values().collect::<Vec<_>>(), [&(2, 1e5, 2)]);
    world.receive(1, &path_tear(sender(1)));
    assert_eq!(world.kernel.values().collect::<Vec<_>>(), [&(2, 1e5, 1)]);
}

#[test]
fn a_wildcard_that_goes_to_two_previous_hops_says_for_whom() {
    let mut world = announced(world(), &[sender(1), sender(2)]);
    world.receive(2, &resv(Flows::WildcardFilter(load(1e5))).build().unwrap());
    let sent = world.sent(MessageType::Resv);
    assert_eq!(sent.len(), 2);
    for (datagram, number) in sent.iter().zip([1, 2]) {
        read(datagram, |message| {
            let scope: Vec<_> = message.scope().unwrap().addresses().collect();
            assert_eq!(scope, [IpAddr::from(host(1, number))]);
        });
    }
    assert_eq!(world.kernel.values().collect::<Vec<_>>(), [&(2, 1e5, 0)]);
    world.receive(1, &path_tear(sender(1)));
    assert_eq!(world.kernel.len(), 1);
    world.receive(1, &path_tear(sender(2)));
    world.assert_empty();
}

#[test]
fn next_hops_on_a_link_share_what_the_greatest_of_them_asks_for() {
    let mut world = announced(narrow(1_000_000, false), &[sender(1)]);
    let from = |number, rate| {
        let flows = Flows::FixedFilter(vec![(load(rate), sender(1))]);
        let hop = hop(host(2, number), 2);
        lpm_rsvp::build::Resv::new(session(), hop, TimeValues::DEFAULT, flows)
    };
    world.receive(2, &from(1, 100_000.0).build().unwrap());
    world.receive(2, &from(2, 120_000.0).build().unwrap());
    assert_eq!(
        world.kernel.values().collect::<Vec<_>>(),
        [&(2, 120_000.0, 1)]
    );
    assert_eq!(world.sent(MessageType::Resv).len(), 2);
    world.receive(2, &from(1, 110_000.0).build().unwrap());
    assert_eq!(
        world.sent(MessageType::Resv).len(),
        0,
        "the merged request is the same"
    );
    let tear = lpm_rsvp::build::ResvTear::new(
        session(),
        hop(host(2, 2), 2),
        Senders::FixedFilter(vec![sender(1)]),
    );
    world.receive(2, &tear.build().unwrap());
    assert_eq!(
        world.kernel.values().collect::<Vec<_>>(),
        [&(2, 110_000.0, 1)]
    );
    assert_eq!(world.sent(MessageType::Resv).len(), 1);
}

#[test]
fn a_link_that_is_full_refuses_and_leaves_what_is_there_in_place() {
    let mut world = announced(narrow(1_000_000, false), &[sender(1)]);
    world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
    world.sent.clear();
    world.receive(2, &fixed(2e5, &[sender(1)]).build().unwrap());
    let sent = world.sent(MessageType::ResvErr);
    let error = read(&sent[0], |message| message.error_spec().unwrap());
    assert_eq!(
        (error.code, error.value, error.flags),
        (1, 2, ErrorSpec::IN_PLACE)
    );
    assert_eq!(world.kernel.values().collect::<Vec<_>>(), [&(2, 1e5, 1)]);
    let refusal = Refusal::Bandwidth {
        asked: 1_600_000,
        free: 1_000_000,
    };
    assert_eq!(world.rulings.last(), Some(&Ruling::Refused(refusal)));
}

#[test]
fn a_higher_priority_takes_the_place_of_a_lower_one() {
    let mut world = announced(narrow(1_000_000, true), &[sender(1), sender(2)]);
    world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
    world.sent.clear();
    world.decision = Decision::Accept(Priority::MAX);
    world.receive(2, &fixed(1.2e5, &[sender(2)]).build().unwrap());
    assert_eq!(world.kernel.values().collect::<Vec<_>>(), [&(2, 1.2e5, 1)]);
    let sent = std::mem::take(&mut world.sent);
    let of = |wanted: MessageType| {
        let mut of = sent.iter();
        of.find(|sent| sent.bytes[1] == wanted.number()).unwrap()
    };
    let error = read(of(MessageType::ResvErr), |message| {
        message.error_spec().unwrap()
    });
    assert_eq!(error.code, 12);
    let torn = of(MessageType::ResvTear);
    assert_eq!(torn.destination, IpAddr::from(host(1, 1)));
}

#[test]
fn what_the_kernel_refuses_is_undone() {
    let mut world = announced(world(), &[sender(1)]);
    world.can_reserve = false;
    world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
    let error = |world: &mut World| {
        let sent = world.sent(MessageType::ResvErr);
        read(&sent[0], |message| message.error_spec().unwrap())
    };
    assert_eq!(error(&mut world).code, 22);
    assert_eq!(world.committed(), 0);
    assert_eq!(world.gone(), [DeleteReason::AdmissionControlFailed]);
    assert_eq!(world.node.flow_count(), 1);

    world.can_reserve = true;
    world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
    assert_eq!(world.sent(MessageType::Resv).len(), 1);
    world.can_reserve = false;
    world.receive(2, &fixed(2e5, &[sender(1)]).build().unwrap());
    let after = error(&mut world);
    assert_eq!((after.code, after.flags), (22, ErrorSpec::IN_PLACE));
    assert_eq!(world.sent(MessageType::Resv).len(), 0);
    assert_eq!(world.committed(), 1);
    let last = world.commands.last().unwrap().wanted.clone().unwrap();
    assert_eq!(last.service, load(1e5), "the old rate is asked for again");
}

#[test]
fn an_answer_that_is_put_off_holds_only_its_flow_and_in_order() {
    let mut world = world();
    world.is_deferring = true;
    world.receive(1, &path(sender(1)).build().unwrap());
    world.receive(1, &path_tear(sender(1)));
    world.receive(1, &path(sender(2)).build().unwrap());
    // The same again is not asked about again.
    world.receive(1, &path(sender(2)).build().unwrap());
    assert_eq!(world.questions(), 2);
    let questions = world.asked.clone();
    world.is_deferring = false;
    world.answer(&questions[1]);
    world.run();
    assert_eq!(world.node.flow_count(), 1);
    assert_eq!(world.sent(MessageType::Path).len(), 1);
    world.answer(&questions[0]);
    world.run();
    assert_eq!(
        world.node.flow_count(),
        1,
        "it was torn down after it was granted"
    );
    // An answer that comes twice, or is none, changes nothing.
    world.answer(&questions[0]);
    world.node.decided(world.now, 77, &[accepted()]);
    assert_eq!(world.node.flow_count(), 1);
}

#[test]
fn a_blockade_keeps_a_large_request_from_holding_up_a_small_one() {
    let mut world = announced(world(), &[sender(1)]);
    let from = |number, rate| {
        let flows = Flows::FixedFilter(vec![(load(rate), sender(1))]);
        let hop = hop(host(2, number), 2);
        lpm_rsvp::build::Resv::new(session(), hop, TimeValues::DEFAULT, flows)
    };
    let asked = |world: &mut World| {
        let sent = world.sent(MessageType::Resv);
        let rate = |message: &lpm_rsvp::Message<'_>| {
            let flow = message.flow_descriptors().next().unwrap();
            flow.tspec().unwrap().rate
        };
        sent.iter().map(|sent| read(sent, rate)).collect::<Vec<_>>()
    };
    world.receive(2, &from(1, 1e5).build().unwrap());
    world.receive(2, &from(2, 9e5).build().unwrap());
    assert_eq!(asked(&mut world), [1e5, 9e5]);
    let error = ErrorSpec {
        node: host(9, 9).into(),
        flags: 0,
        code: 1,
        value: 2,
    };
    let flow = Flows::FixedFilter(vec![(load(9e5), sender(1))]);
    let failed = ResvErr::new(session(), hop(host(1, 1), 7), error, flow);
    world.receive(1, &failed.build().unwrap());
    let sent = std::mem::take(&mut world.sent);
    let errors = sent
        .iter()
        .filter(|sent| sent.bytes[1] == MessageType::ResvErr.number());
    // Both are told: nothing is in place.
    assert_eq!(errors.count(), 2);
    world.sent = sent;
    assert_eq!(asked(&mut world), [1e5]);
    // Until it is forgotten; meanwhile all is refreshed.
    for _ in 0..2 {
        world.pass(30 * SECOND);
        for number in [1, 2] {
            let rate = if number == 1 { 1e5 } else { 9e5 };
            world.receive(2, &from(number, rate).build().unwrap());
        }
        world.receive(1, &path(sender(1)).build().unwrap());
    }
    assert_eq!(asked(&mut world).last(), Some(&9e5));
}

#[test]
fn errors_and_confirmations_go_on_to_whom_they_are_for() {
    let mut world = announced(world(), &[sender(1)]);
    let error = ErrorSpec {
        node: host(9, 9).into(),
        flags: 0,
        code: 2,
        value: 3,
    };
    let failed = PathErr::new(session(), error).sender(sender(1), tspec(1e6));
    world.receive(2, &failed.build().unwrap());
    let sent = world.sent(MessageType::PathErr);
    assert_eq!(
        (sent[0].interface, sent[0].destination),
        (1, host(1, 1).into())
    );
    assert_eq!(read(&sent[0], |message| message.error_spec()), Some(error));
    let other = PathErr::new(session(), error).sender(sender(2), tspec(1e6));
    world.receive(2, &other.build().unwrap());
    assert_eq!(world.dropped, [DropReason::NoState]);

    let confirm = ResvConfirm {
        receiver: host(2, 1).into(),
    };
    let flows = Flows::FixedFilter(vec![(load(1e5), sender(1))]);
    let confirmation = ResvConf::new(session(), host(1, 1).into(), confirm, flows);
    world.receive(1, &confirmation.build().unwrap());
    let sent = world.sent(MessageType::ResvConf);
    assert_eq!((sent[0].interface, sent[0].ttl), (2, 63));
    assert!(sent[0].router_alert);
}

#[test]
fn policy_data_goes_on_and_gives_way_to_that_of_lpms() {
    let user = |name| PolicyData::new().element(Identity::user().locator(name));
    let app = || PolicyData::new().element(Identity::app().locator("APP=phone"));
    let mut world = world();
    let bytes = path(sender(1))
        .policy_data(user("CN=Bob"))
        .policy_data(app());
    world.receive(1, &bytes.build().unwrap());
    let policy = |datagram: &_| {
        read(datagram, |message| {
            let policy = message.policy_elements();
            policy
                .map(|element| element.unwrap().p_type())
                .collect::<Vec<_>>()
        })
    };
    let sent = world.sent(MessageType::Path);
    assert_eq!(policy(&sent[0]), [2, 3]);
    world.supply = policy_data_object(&user("CN=router")).unwrap();
    world.receive(
        2,
        &fixed(1e5, &[sender(1)]).policy_data(app()).build().unwrap(),
    );
    let sent = world.sent(MessageType::Resv);
    assert_eq!(policy(&sent[0]), [2, 3]);
    let again = path(sender(1))
        .policy_data(user("CN=Eve"))
        .policy_data(app());
    world.receive(1, &again.build().unwrap());
    let sent = world.sent(MessageType::Path);
    assert_eq!(policy(&sent[0]), [2, 3]);
    read(&sent[0], |message| {
        assert!(!message.bytes().windows(6).any(|bytes| bytes == b"CN=Eve"));
    });
}

#[test]
fn paths_follow_a_route_that_changes() {
    let mut world = announced(world(), &[sender(1)]);
    world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
    world.sent.clear();
    world.node.routes().0.insert(2, 3);
    world.node.routes_changed(world.now);
    world.pass(SECOND);
    assert_eq!(world.sent.len(), 0, "routes have to settle");
    world.pass(SECOND);
    let sent = std::mem::take(&mut world.sent);
    assert_eq!(sent.len(), 1, "the previous hop keeps its reservation");
    assert_eq!(sent[0].interface, 3);
    let new = lpm_rsvp::build::Resv::new(
        session(),
        hop(host(3, 1), 3),
        TimeValues::DEFAULT,
        Flows::FixedFilter(vec![(load(1e5), sender(1))]),
    );
    world.receive(3, &new.build().unwrap());
    assert_eq!(world.kernel.len(), 2);
    world.receive(1, &path_tear(sender(1)));
    let sent = world.sent(MessageType::PathTear);
    assert_eq!(sent[0].interface, 3);
    world.pass(200 * SECOND);
    world.assert_empty();
}

#[test]
fn an_interface_that_goes_takes_its_reservations_along() {
    let mut world = announced(world(), &[sender(1)]);
    world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
    world.node.set_interfaces(world.now, Vec::new());
    world.run();
    assert_eq!(world.kernel.len(), 0);
    world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
    assert_eq!(world.dropped, [DropReason::Interface]);
}

#[test]
fn all_addresses_of_an_interface_share_what_is_configured_for_one_of_them() {
    let other: IpAddr = "2001:db8::2".parse().unwrap();
    let mut config = NodeConfig::default();
    let pool = PoolConfig {
        bandwidth: 1_000_000,
        max_per_flow: None,
        preemption: false,
    };
    config.sbm.interfaces = vec![(InterfaceName::Address(other), pool)];
    let mut world = World::new(config);
    let with_other = || {
        let mut all = interfaces();
        all[1].addresses.push(other);
        all
    };
    world.node.set_interfaces(world.now, with_other());
    let mut world = announced(world, &[sender(1), sender(2)]);
    // The router has another address in it, and there are 125 000 bytes/s.
    world.receive(2, &fixed(1e5, &[sender(1)]).build().unwrap());
    world.receive(2, &fixed(1e5, &[sender(2)]).build().unwrap());
    assert_eq!(world.kernel.len(), 1);
    assert_eq!(world.sent(MessageType::ResvErr).len(), 1);
    // Without that address nothing is configured for it, and what was reserved is asked for anew.
    world.node.set_interfaces(world.now, interfaces());
    world.run();
    assert_eq!(world.kernel.len(), 0);
    for sender in [sender(1), sender(2)] {
        world.receive(2, &fixed(1e5, &[sender]).build().unwrap());
    }
    assert_eq!(world.kernel.len(), 2);
    world.node.set_interfaces(world.now, with_other());
    world.run();
    world.pass(200 * SECOND);
    world.assert_empty();
}

#[test]
fn an_interface_that_was_gone_or_has_another_address_is_told_its_paths_anew() {
    let mut world = announced(world(), &[sender(1)]);
    let all = interfaces();
    let other = |interface: &NodeInterface| {
        let mut other = interface.clone();
        if other.index == 2 {
            other.addresses = vec![host(2, 99).into()];
        }
        other
    };
    for (meanwhile, after, own) in [
        // Too short a time for another route to be looked for.
        (Vec::new(), all.clone(), ROUTER[2]),
        (all.clone(), all.iter().map(other).collect(), host(2, 99)),
    ] {
        world.sent.clear();
        world.node.set_interfaces(world.now, meanwhile);
        world.pass(SECOND);
        world.node.set_interfaces(world.now, after);
        world.pass(2 * SECOND);
        let sent = world.sent(MessageType::Path);
        assert_eq!(sent.len(), 1);
        let hop = read(&sent[0], |path| path.hop().unwrap().address);
        assert_eq!((sent[0].interface, hop), (2, own.into()));
    }
    // What did not change is told by refreshes only.
    world.node.set_interfaces(world.now, all.iter().map(other));
    world.pass(2 * SECOND);
    assert_eq!(world.sent(MessageType::Path).len(), 0);
}

#[test]
fn what_is_not_for_this_node_or_no_message_is_dropped() {
    let mut world = world();
    let good = path(sender(1)).build().unwrap();
    for (bytes, destination, ttl, reason) in [
        (
            &good[..20],
            session().address(),
            64,
            Some(DropReason::Malformed),
        ),
        (&[], session().address(), 64, Some(DropReason::Malformed)),
        (&good[..], session().address(), 64, None),
    ] {
        world.dropped.clear();
        world.receive_for(1, destination, ttl, bytes);
        assert_eq!(world.dropped.first().copied(), reason);
    }
    world.dropped.clear();
    let asked = fixed(1e5, &[sender(1)]).build().unwrap();
    world.receive_for(2, host(9, 9).into(), 64, &asked);
    let own = RsvpHop {
        address: ROUTER[2].into(),
        logical_interface: 1,
    };
    let looped =
        lpm_rsvp::build::Path::new(session(), own, TimeValues::DEFAULT, sender(2), tspec(1e6));
    world.receive(3, &looped.build().unwrap());
    let strange = lpm_rsvp::build::Resv::new(
        session(),
        hop(host(2, 1), 99),
        TimeValues::DEFAULT,
        Flows::FixedFilter(vec![(load(1e5), sender(1))]),
    );
    world.receive(2, &strange.build().unwrap());
    world.receive(2, &resv_tear(Senders::FixedFilter(vec![sender(1)])));
    assert_eq!(
        world.dropped,
        [
            DropReason::NotForUs,
            DropReason::Loop,
            DropReason::LogicalInterface,
            DropReason::NoState
        ]
    );
    // A Path whose TTL is used up makes state, and goes no further.
    world.sent.clear();
    world.receive_for(1, session().address(), 1, &path(sender(3)).build().unwrap());
    assert_eq!(world.sent.len(), 0);
}

#[test]
fn a_flood_of_paths_is_bounded_and_others_live_on() {
    let mut config = NodeConfig::default();
    config.sbm.max_flows = 100;
    let mut world = announced(World::new(config), &[sender(1)]);
    for number in 0..10_000_u32 {
        let [_, _, high, low] = number.to_be_bytes();
        let random = FilterSpec::new([10, 9, high, low], 1);
        let hop = hop(host(1, 66), 7);
        let flood =
            lpm_rsvp::build::Path::new(session(), hop, TimeValues::DEFAULT, random, tspec(1.0));
        world.receive(1, &flood.build().unwrap());
        world.asked.clear();
        world.told.clear();
    }
    assert_eq!(world.node.flow_count(), 100);
    let refused = world.sent(MessageType::PathErr);
    assert_eq!(refused.len(), 10_000 - 99);
    world.receive(1, &path(sender(1)).build().unwrap());
    assert_eq!(world.questions(), 0, "it is known");
}

#[test]
fn questions_are_bounded() {
    let mut config = NodeConfig::default();
    config.max_waiting = 10;
    let mut world = World::new(config);
    world.is_deferring = true;
    for number in 0..50 {
        world.receive(1, &path(sender(number)).build().unwrap());
    }
    assert_eq!(world.dropped, [DropReason::Busy; 40]);
}

#[test]
fn the_end_tears_down_in_both_directions() {
    let mut world = announced(world(), &[sender(1), sender(2)]);
    world.receive(2, &fixed(1e5, &[sender(1), sender(2)]).build().unwrap());
    world.sent.clear();
    world.node.stop(world.now);
    world.run();
    let sent = std::mem::take(&mut world.sent);
    let count = |wanted: MessageType| {
        let of = sent.iter().filter(|sent| sent.bytes[1] == wanted.number());
        of.count()
    };
    assert_eq!(
        (count(MessageType::ResvTear), count(MessageType::PathTear)),
        (2, 2)
    );
    world.assert_empty();
    assert_eq!(
        world.node.next_deadline(),
        Some(2 * SECOND),
        "but for the first look at routes"
    );
}
