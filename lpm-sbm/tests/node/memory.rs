//! What many sessions take of memory and of wakings.

use std::net::Ipv4Addr;
use std::time::Duration;

use lpm_rsvp::build::{Flows, Identity, Path, PolicyData, Resv};
use lpm_rsvp::{FilterSpec, MessageType, Session, TimeValues};
use lpm_sbm::NodeConfig;

use crate::world::{ROUTER, World, hop, host, load, sender, tspec};

/// Fills the tables as far as ten thousand sessions fill theirs.
const SESSIONS: u16 = 1_250;

/// A session with a destination of its own, on link 2.
fn session(number: u16) -> Session {
    let [high, low] = number.to_be_bytes();
    Session::new([10, 0, 2 + high % 2, low % 200], 17, 1_024 + number).unwrap()
}

fn policy() -> PolicyData {
    PolicyData::new().element(Identity::user().locator("CN=User 1234"))
}

fn set_up(world: &mut World, number: u16, sender: FilterSpec) {
    let session = session(number);
    let announced = hop(Ipv4Addr::new(10, 0, 1, 1), 7);
    let path = Path::new(session, announced, TimeValues::DEFAULT, sender, tspec(1e5));
    let path = path.policy_data(policy()).build().unwrap();
    world.receive_for(1, session.address(), 64, &path);
    let out = world.sent.last().expect("the Path goes on").interface;
    let (router, receiver) = match out {
        2 => (ROUTER[2], host(2, 1)),
        _ => (ROUTER[3], host(3, 1)),
    };
    let flows = Flows::FixedFilter(vec![(load(1e5), sender)]);
    let resv = Resv::new(session, hop(receiver, out), TimeValues::DEFAULT, flows);
    let resv = resv.policy_data(policy()).build().unwrap();
    world.receive_from(out, receiver, router.into(), 64, &resv);
}

#[test]
fn a_session_takes_two_and_a_quarter_kilobytes() {
    let mut world = World::new(NodeConfig::default());
    let allocated = allocation_counter::measure(|| {
        for number in 0..SESSIONS {
            set_up(&mut world, number, sender(1));
            if number % 100 == 0 {
                assert_eq!(world.sent(MessageType::Resv).len(), 1);
            }
            // What a world remembers is not the node's.
            world.sent = Vec::new();
            world.asked = Vec::new();
            world.told = Vec::new();
            world.commands = Vec::new();
            world.rulings = Vec::new();
        }
        world.kernel.clear();
    });
    assert_eq!(world.node.session_count(), usize::from(SESSIONS));
    let each = allocated.bytes_current / i64::from(SESSIONS);
    println!("{each} bytes a session");
    assert!(each <= 2_304, "{each} bytes");
}

#[test]
fn refreshes_of_many_sessions_go_out_together() {
    let mut world = World::new(NodeConfig::default());
    let sessions = 1_000;
    (0..sessions).for_each(|number| set_up(&mut world, number, sender(1)));
    world.sent.clear();
    let (mut wakings, period) = (0, Duration::from_secs(30));
    // State lives longer than that without refreshes.
    let end = world.now + 4 * period;
    while let Some(next) = world.node.next_deadline().filter(|next| *next <= end) {
        world.now = next;
        world.node.tick(next);
        world.run();
        wakings += 1;
    }
    // A Path and a Resv each, at least after one and a half periods: more than twice in four.
    assert!(
        world.sent.len() > 4 * usize::from(sessions),
        "{}",
        world.sent.len()
    );
    assert!(wakings <= 4 * 1_024, "{wakings}");
}
