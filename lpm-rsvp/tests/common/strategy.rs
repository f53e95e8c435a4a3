//! Legal messages for property tests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lpm_rsvp::build::{
    AdSpec, Element, Flows, Identity, Path, PathErr, PathTear, PolicyData, Resv, ResvConf, ResvErr,
    ResvTear, Senders,
};
use lpm_rsvp::intserv::{GeneralParameters, GuaranteedParameters};
use lpm_rsvp::policy::PolicyErrorValue;
use lpm_rsvp::{
    ErrorSpec, FilterSpec, PreemptionPriority, ResvConfirm, Rspec, RsvpHop, ServiceRequest,
    Session, TimeValues, Tspec,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// The kinds of sessions; senders must be of the same kind.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Ipv4,
    Ipv6,
    Ipv4Gpi,
    Ipv6Gpi,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Ipv4),
        Just(Kind::Ipv6),
        Just(Kind::Ipv4Gpi),
        Just(Kind::Ipv6Gpi)
    ]
}

fn address(kind: Kind) -> BoxedStrategy<IpAddr> {
    match kind {
        Kind::Ipv4 | Kind::Ipv4Gpi => (1_u32..)
            .prop_map(|bits| Ipv4Addr::from_bits(bits).into())
            .boxed(),
        Kind::Ipv6 | Kind::Ipv6Gpi => (1_u128..)
            .prop_map(|bits| Ipv6Addr::from_bits(bits).into())
            .boxed(),
    }
}

fn session(kind: Kind) -> impl Strategy<Value = Session> {
    (address(kind), 1_u8.., 1_u16.., 0_u8..2).prop_map(move |(address, protocol, port, flags)| {
        let session = match kind {
            Kind::Ipv4 | Kind::Ipv6 => Session::new(address, protocol, port),
            Kind::Ipv4Gpi | Kind::Ipv6Gpi => Session::gpi(address, protocol, port),
        };
        session.unwrap().with_flags(flags)
    })
}

fn sender(kind: Kind) -> BoxedStrategy<FilterSpec> {
    let port = (address(kind), any::<u16>()).prop_map(|(a, port)| FilterSpec::new(a, port));
    match kind {
        Kind::Ipv4 => port.boxed(),
        Kind::Ipv6 => {
            let labelled = (any::<u128>(), 0_u32..0x0100_0000).prop_map(|(bits, label)| {
                FilterSpec::flow_label(Ipv6Addr::from_bits(bits), label).unwrap()
            });
            prop_oneof![port, labelled].boxed()
        }
        Kind::Ipv4Gpi | Kind::Ipv6Gpi => (address(kind), any::<u32>())
            .prop_map(|(a, spi)| FilterSpec::gpi(a, spi))
            .boxed(),
    }
}

fn hop(kind: Kind) -> impl Strategy<Value = RsvpHop> {
    (address(kind), any::<u32>()).prop_map(|(address, logical_interface)| RsvpHop {
        address,
        logical_interface,
    })
}

fn time_values() -> impl Strategy<Value = TimeValues> {
    any::<u32>().prop_map(|refresh_ms| TimeValues { refresh_ms })
}

fn rate() -> impl Strategy<Value = f32> {
    prop_oneof![Just(0.0), 1.0_f32..4e13]
}

pub fn tspec() -> impl Strategy<Value = Tspec> {
    let peak = prop_oneof![rate(), Just(f32::INFINITY)];
    (rate(), rate(), peak, any::<(u32, u32)>()).prop_map(|(rate, bucket, peak_rate, (a, b))| {
        Tspec {
            rate,
            bucket,
            peak_rate,
            min_policed: a.min(b).max(1),
            max_packet: a.max(b).max(1),
        }
    })
}

fn request() -> impl Strategy<Value = ServiceRequest> {
    let guaranteed = (tspec(), 0.0_f32..1e9, any::<u32>()).prop_map(|(tspec, more, slack)| {
        ServiceRequest::Guaranteed(
            Tspec {
                peak_rate: tspec.peak_rate.max(tspec.rate),
                ..tspec
            },
            Rspec {
                rate: tspec.rate + more,
                slack,
            },
        )
    });
    prop_oneof![
        tspec().prop_map(ServiceRequest::ControlledLoad),
        guaranteed,
        any::<u32>().prop_map(|max_packet| ServiceRequest::Null { max_packet }),
    ]
}

fn adspec() -> BoxedStrategy<AdSpec> {
    let general =
        (any::<bool>(), any::<[u32; 3]>(), rate()).prop_map(|(break_bit, words, rate)| {
            let [is_hops, minimum_latency, path_mtu] = words;
            GeneralParameters {
                break_bit,
                is_hops,
                path_bandwidth: rate,
                minimum_latency,
                path_mtu,
            }
        });
    let guaranteed = any::<(bool, [u32; 4])>().prop_map(|(break_bit, words)| {
        let [c_tot, d_tot, c_sum, d_sum] = words;
        GuaranteedParameters {
            break_bit,
            c_tot,
            d_tot,
            c_sum,
            d_sum,
        }
    });
    (general, option::of(guaranteed), any::<Option<bool>>())
        .prop_map(|(general, guaranteed, controlled_load)| AdSpec {
            general,
            guaranteed,
            controlled_load,
        })
        .boxed()
}

fn identity() -> BoxedStrategy<Identity> {
    let identity = prop_oneof![Just(Identity::user()), Just(Identity::app())];
    let name = "[A-Za-zäЖ漢=, ]{1,20}";
    let private = (128_u8.., any::<u8>(), vec(any::<u8>(), 0..20));
    let error = (any::<u16>(), vec(any::<u8>(), 0..20));
    (
        (identity, name, option::of(name)),
        (
            option::of(vec(any::<u8>(), 0..30)),
            option::of(private),
            option::of(error),
        ),
        option::of(vec(any::<u8>(), 0..30)),
    )
        .prop_map(
            |((identity, locator, credential), (ticket, private, error), signature)| {
                let mut identity = identity.locator(&locator);
                if let Some(credential) = credential {
                    identity = identity.credential(&credential);
                }
                if let Some(ticket) = ticket {
                    identity = identity.kerberos_ticket(&ticket);
                }
                if let Some((a_type, sub_type, value)) = private {
                    identity = identity.attribute(a_type, sub_type, &value);
                }
                if let Some((error, detail)) = error {
                    identity = identity.policy_error(PolicyErrorValue::from(error), &detail);
                }
                match signature {
                    Some(signature) => identity.signature(signature),
                    None => identity,
                }
            },
        )
        .boxed()
}

fn element() -> impl Strategy<Value = Element> {
    let priority = any::<(u16, u16)>()
        .prop_map(|(a, b)| PreemptionPriority::new(a.min(b), a.max(b)).unwrap().into());
    let unknown =
        (4_u16.., vec(any::<u8>(), 0..9)).prop_map(|(kind, data)| Element::new(kind, data));
    prop_oneof![identity().prop_map(Element::from), priority, unknown]
}

fn policy_data(kind: Kind) -> BoxedStrategy<Vec<PolicyData>> {
    let object = (
        vec(element(), 0..4),
        vec(sender(kind), 0..3),
        option::of((hop(kind), option::of(hop(kind)))),
        option::of(time_values()),
    )
        .prop_map(|(elements, senders, hops, refresh)| {
            let mut data = PolicyData::new();
            for sender in senders {
                data = data.filter_spec(sender);
            }
            if let Some((originating, destination)) = hops {
                data = data.hops(originating, destination);
            }
            if let Some(refresh) = refresh {
                data = data.refresh_time(refresh);
            }
            elements.into_iter().fold(data, PolicyData::element)
        });
    vec(object.boxed(), 0..3).boxed()
}

fn flows(kind: Kind) -> BoxedStrategy<Flows> {
    prop_oneof![
        request().prop_map(Flows::WildcardFilter),
        vec((request(), sender(kind)), 1..20).prop_map(Flows::FixedFilter),
        (request(), vec(sender(kind), 1..20)).prop_map(|(r, f)| Flows::SharedExplicit(r, f)),
    ]
    .boxed()
}

fn senders(kind: Kind) -> impl Strategy<Value = Senders> {
    prop_oneof![
        Just(Senders::WildcardFilter),
        vec(sender(kind), 1..9).prop_map(Senders::FixedFilter),
        vec(sender(kind), 1..9).prop_map(Senders::SharedExplicit),
    ]
}

fn error_spec(kind: Kind) -> impl Strategy<Value = ErrorSpec> {
    (address(kind), 0_u8..4, any::<u8>(), any::<u16>()).prop_map(|(node, flags, code, value)| {
        ErrorSpec {
            node,
            flags,
            code,
            value,
        }
    })
}

fn path(kind: Kind) -> impl Strategy<Value = Vec<u8>> {
    let head = (session(kind), hop(kind), time_values(), any::<u8>());
    (
        head,
        sender(kind),
        tspec(),
        option::of(adspec()),
        policy_data(kind),
    )
        .prop_map(
            |((session, hop, time, ttl), sender, tspec, adspec, policy)| {
                let mut path = Path::new(session, hop, time, sender, tspec).send_ttl(ttl);
                if let Some(adspec) = adspec {
                    path = path.adspec(adspec);
                }
                policy
                    .into_iter()
                    .fold(path, Path::policy_data)
                    .build()
                    .unwrap()
            },
        )
}

fn resv(kind: Kind) -> impl Strategy<Value = Vec<u8>> {
    let head = (
        session(kind),
        hop(kind),
        time_values(),
        option::of(address(kind)),
    );
    (
        head,
        vec(address(kind), 0..5),
        flows(kind),
        policy_data(kind),
    )
        .prop_map(|((session, hop, time, confirm), scope, flows, policy)| {
            let mut resv = Resv::new(session, hop, time, flows).scope(&scope);
            if let Some(receiver) = confirm {
                resv = resv.confirm(receiver);
            }
            policy
                .into_iter()
                .fold(resv, Resv::policy_data)
                .build()
                .unwrap()
        })
}

fn errors(kind: Kind) -> impl Strategy<Value = Vec<u8>> {
    let head = (session(kind), hop(kind), error_spec(kind));
    let flow = prop_oneof![
        request().prop_map(Flows::WildcardFilter),
        (request(), sender(kind)).prop_map(|flow| Flows::FixedFilter(vec![flow])),
        (request(), vec(sender(kind), 1..9)).prop_map(|(r, f)| Flows::SharedExplicit(r, f)),
    ];
    (
        head,
        flow,
        option::of((sender(kind), tspec())),
        policy_data(kind),
        any::<bool>(),
    )
        .prop_map(|((session, hop, error), flow, sender, policy, path)| {
            if path {
                let mut err = PathErr::new(session, error);
                if let Some((sender, tspec)) = sender {
                    err = err.sender(sender, tspec);
                }
                policy
                    .into_iter()
                    .fold(err, PathErr::policy_data)
                    .build()
                    .unwrap()
            } else {
                let err = ResvErr::new(session, hop, error, flow);
                policy
                    .into_iter()
                    .fold(err, ResvErr::policy_data)
                    .build()
                    .unwrap()
            }
        })
}

fn others(kind: Kind) -> impl Strategy<Value = Vec<u8>> {
    let head = (session(kind), hop(kind));
    (
        head,
        sender(kind),
        senders(kind),
        flows(kind),
        address(kind),
        0..3,
    )
        .prop_map(
            |((session, hop), sender, senders, flows, receiver, which)| match which {
                0 => PathTear::new(session, hop, sender).build().unwrap(),
                1 => ResvTear::new(session, hop, senders).build().unwrap(),
                _ => {
                    let confirm = ResvConfirm { receiver };
                    ResvConf::new(session, hop.address, confirm, flows)
                        .build()
                        .unwrap()
                }
            },
        )
}

/// Canonical messages of all seven types, IPv4, IPv6 and IPsec.
pub fn message() -> impl Strategy<Value = Vec<u8>> {
    kind()
        .prop_flat_map(|kind| {
            prop_oneof![
                path(kind).boxed(),
                resv(kind).boxed(),
                errors(kind).boxed(),
                others(kind).boxed()
            ]
        })
        .boxed()
}
