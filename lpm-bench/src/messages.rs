//! Messages as hosts and routers send them.

use std::net::Ipv4Addr;

use lpm_rsvp::build::{AdSpec, Flows, Identity, Path, PolicyData, Resv};
use lpm_rsvp::intserv::GeneralParameters;
use lpm_rsvp::{
    FilterSpec, PreemptionPriority, RsvpHop, ServiceRequest, Session, TimeValues, Tspec,
};

use crate::policy::group_of;

/// 1 Mbit/s with short bursts.
pub const TSPEC: Tspec = Tspec {
    rate: 125_000.0,
    bucket: 3_000.0,
    peak_rate: 250_000.0,
    min_policed: 64,
    max_packet: 1_500,
};

/// Where flows go to.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The next hop towards it.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);

/// The Path of a flow, without policy.
#[must_use]
pub fn path(flow: u32) -> Vec<u8> {
    path_of(flow).build().expect(LEGAL)
}

/// The Path of a flow whose sender says who it is.
#[must_use]
pub fn path_with_identity(flow: u32, user: u32) -> Vec<u8> {
    let path = path_of(flow).policy_data(identity(user));
    path.build().expect(LEGAL)
}

/// A Resv in FF style for so many flows, from `flow` on, without policy.
#[must_use]
pub fn resv(flow: u32, flows: u32) -> Vec<u8> {
    resv_of(flow, flows).build().expect(LEGAL)
}

/// The Resv for a flow whose receiver says who it is.
#[must_use]
pub fn resv_with_identity(flow: u32, user: u32) -> Vec<u8> {
    let resv = resv_of(flow, 1).policy_data(identity(user));
    resv.build().expect(LEGAL)
}

/// The host that sends a flow.
#[must_use]
pub fn host(flow: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(FIRST_HOST) + flow)
}

/// The name that a user has in certificates and directories.
#[must_use]
pub fn distinguished_name(user: u32) -> String {
    let group = group_of(user);
    format!("CN=Firstname Lastname {user}, OU=Department {group}, O=Large Office, C=CH")
}

/// The name that a user logs in with.
#[must_use]
pub fn user_id(user: u32) -> String {
    format!("user{user}")
}

const FIRST_HOST: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 0);
const LEGAL: &str = "a legal message";

fn path_of(flow: u32) -> Path {
    let adspec = AdSpec {
        general: GeneralParameters {
            break_bit: false,
            is_hops: 3,
            path_bandwidth: 1.25e6,
            minimum_latency: 1000,
            path_mtu: 1500,
        },
        guaranteed: None,
        controlled_load: Some(true),
    };
    let (session, hop) = (session(flow), hop(host(flow)));
    Path::new(session, hop, TimeValues::DEFAULT, sender(flow), TSPEC).adspec(adspec)
}

fn resv_of(flow: u32, flows: u32) -> Resv {
    let descriptors = (flow..flow + flows).map(|flow| {
        let service = ServiceRequest::ControlledLoad(TSPEC);
        (service, sender(flow))
    });
    let flows = Flows::FixedFilter(descriptors.collect());
    Resv::new(session(flow), hop(ROUTER), TimeValues::DEFAULT, flows)
}

fn identity(user: u32) -> PolicyData {
    let name = Identity::user()
        .locator(&distinguished_name(user))
        .credential(&user_id(user));
    let priority = PreemptionPriority::new(10, 20).expect("in order");
    PolicyData::new().element(name).element(priority)
}

/// Sixteen flows go to one port of the server.
fn session(flow: u32) -> Session {
    let port = 1024 + u16::try_from(flow / 16 % 60_000).expect("a port");
    Session::new(SERVER, 17, port).expect("a legal session")
}

fn sender(flow: u32) -> FilterSpec {
    FilterSpec::new(host(flow), 4000)
}

fn hop(address: Ipv4Addr) -> RsvpHop {
    RsvpHop {
        address: address.into(),
        logical_interface: 1,
    }
}
