//! The requests of messages that came lately.
//!
//! Most messages are refreshes. Then no name has to be brought to its canonical form and looked up, and no flow to
//! be put together: the objects that requests depend on say the same as before. What is to be looked at anew for
//! every message stays so: whether its INTEGRITY was verified makes a difference here too, and limits, schedules
//! and the directory are asked later on.
//!
//! They belong to one policy, and go with it. Only those of whom the policy lists are kept, so that strangers, who
//! may claim anything, take neither memory nor anybody's place.

use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use lpm_api::lpm_rsvp::{Message, class};

use crate::policy::{CredentialTypes, Policy};
use crate::request::{Request, Requests};

/// How many messages share a lock; the one that was kept first makes room.
const PLACES: usize = 8;

/// How many such sets there are for each who is listed, and at most. With eight flows of everybody, a
/// Path and a Resv each, a quarter of the places is taken; so it is with 65 536 flows of as many users,
/// and with twice as many few sets are full.
const SETS_EACH: usize = 8;
const MOST_SETS: usize = 1 << 16;

/// What is longer, in bytes, is read every time, so that memory is bounded.
const LONGEST: usize = 512;

/// The requests that were read last.
#[derive(Debug)]
pub(crate) struct RecentRequests {
    /// A power of two.
    sets: Box<[Mutex<Vec<Recent>>]>,
    state: RandomState,
}

#[derive(Debug)]
struct Recent {
    hash: u64,
    accepted: CredentialTypes,
    message_type: u8,
    objects: Box<[u8]>,
    requests: Arc<[Request]>,
}

/// What the requests of a message depend on, besides the policy.
struct Key<'a> {
    hash: u64,
    accepted: CredentialTypes,
    message_type: u8,
    objects: &'a [u8],
}

impl RecentRequests {
    /// Nothing yet, with room for the messages of all whom the policy lists, up to a bound.
    pub(crate) fn new(policy: &Policy) -> Self {
        let listed = policy.users().len() + policy.applications().len();
        let sets = listed.saturating_mul(SETS_EACH).clamp(1, MOST_SETS);
        let sets = sets.next_power_of_two();
        Self {
            sets: (0..sets).map(|_| Mutex::default()).collect(),
            state: RandomState::default(),
        }
    }

    /// The requests of a message whose INTEGRITY was verified or not, in the terms of the policy.
    pub(crate) fn of(
        &self,
        message: &Message<'_>,
        integrity_verified: bool,
        policy: &Policy,
    ) -> Requests {
        let accepted = policy.authentication().accepted(integrity_verified);
        let key = Key::new(message, accepted, &self.state);
        let read = || Requests::read(message, accepted, policy);
        if key.objects.len() > LONGEST {
            return Requests::New(read());
        }
        if let Some(requests) = self.remembered(&key) {
            return Requests::Remembered(requests);
        }
        let requests = read();
        if !requests.iter().all(Request::is_of_listed) {
            return Requests::New(requests);
        }
        let requests: Arc<[Request]> = requests.into_vec().into();
        self.remember(&key, &requests);
        Requests::Remembered(requests)
    }

    fn remembered(&self, key: &Key<'_>) -> Option<Arc<[Request]>> {
        let set = self.set(key.hash);
        let recent = set.iter().find(|recent| recent.is(key))?;
        Some(Arc::clone(&recent.requests))
    }

    fn remember(&self, key: &Key<'_>, requests: &Arc<[Request]>) {
        let mut set = self.set(key.hash);
        if set.len() == PLACES {
            set.remove(0);
        }
        set.push(Recent {
            hash: key.hash,
            accepted: key.accepted,
            message_type: key.message_type,
            objects: key.objects.into(),
            requests: Arc::clone(requests),
        });
    }

    fn set(&self, hash: u64) -> MutexGuard<'_, Vec<Recent>> {
        let place = usize::try_from(hash >> 32).unwrap_or(0) & (self.sets.len() - 1);
        self.sets[place]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn is(&self, key: &Key<'_>) -> bool {
        self.hash == key.hash
            && self.accepted == key.accepted
            && self.message_type == key.message_type
            && *self.objects == *key.objects
    }
}

impl<'a> Key<'a> {
    fn new(message: &Message<'a>, accepted: CredentialTypes, state: &RandomState) -> Self {
        let objects = objects(message);
        Key {
            hash: state.hash_one(objects),
            accepted,
            message_type: message.message_type().number(),
            objects,
        }
    }
}

/// The objects of a message, without those at its beginning that differ from one refresh to the next and ask for
/// nothing.
fn objects<'a>(message: &Message<'a>) -> &'a [u8] {
    let is_about_message = |class| {
        matches!(
            class,
            class::INTEGRITY | class::MESSAGE_ID | class::MESSAGE_ID_ACK
        )
    };
    let mut objects = message.entries().iter();
    let first = objects.find(|object| !is_about_message(object.class));
    let start = first.map(|object| usize::from(object.offset));
    start
        .and_then(|start| message.bytes().get(start..))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lpm_api::lpm_rsvp::build::{Identity, Path, PolicyData};
    use lpm_api::lpm_rsvp::{FilterSpec, ObjectIndex, RsvpHop, Session, TimeValues, Tspec};
    use std::net::Ipv4Addr;

    fn recent() -> (RecentRequests, Policy) {
        let text = "[authentication]\naccept = ['ascii_id']\naccept_with_integrity = ['dn']\n\
                    [default]\npriority = 1\n[[user]]\nid = 'ada'";
        let policy = Policy::parse("test", text).unwrap();
        (RecentRequests::new(&policy), policy)
    }

    fn path(id: &str, port: u16) -> Vec<u8> {
        let address = Ipv4Addr::new(10, 0, 0, 1);
        let hop = RsvpHop {
            address: address.into(),
            logical_interface: 0,
        };
        let tspec = Tspec {
            rate: 1.0,
            bucket: 1.0,
            peak_rate: 1.0,
            min_policed: 1,
            max_packet: 1,
        };
        let sender = FilterSpec::new(address, port);
        let session = Session::new(address, 17, 5004).unwrap();
        let data = PolicyData::new().element(Identity::user().credential(id));
        let path = Path::new(session, hop, TimeValues::DEFAULT, sender, tspec).policy_data(data);
        path.build().unwrap()
    }

    fn requests(recent: &(RecentRequests, Policy), bytes: &[u8], verified: bool) -> Requests {
        let mut index = ObjectIndex::new();
        let message = Message::parse(bytes, &mut index).unwrap();
        recent.0.of(&message, verified, &recent.1)
    }

    fn remembered(requests: Requests) -> Option<Arc<[Request]>> {
        match requests {
            Requests::New(_) => None,
            Requests::Remembered(requests) => Some(requests),
        }
    }

    #[test]
    fn a_refresh_has_the_requests_of_before() {
        let recent = recent();
        let of = |bytes: &[u8], verified| remembered(requests(&recent, bytes, verified));
        let ada = path("ada", 1);
        let first = of(&ada, false).unwrap();
        assert!(Arc::ptr_eq(&first, &of(&ada, false).unwrap()));
        assert!(!Arc::ptr_eq(&first, &of(&ada, true).unwrap()));
        assert!(!Arc::ptr_eq(&first, &of(&path("ada", 2), false).unwrap()));
        assert!(Arc::ptr_eq(&first, &of(&ada, false).unwrap()));
    }

    #[test]
    fn neither_strangers_nor_what_is_long_is_remembered() {
        let recent = recent();
        for id in ["grace", "", &" ada".repeat(200)] {
            let requests = requests(&recent, &path(id, 1), false);
            assert!(remembered(requests).is_none());
        }
    }

    #[test]
    fn not_more_is_remembered_than_there_are_places() {
        let recent = recent();
        for port in 0..100 {
            requests(&recent, &path("ada", port), false);
        }
        let sets = recent.0.sets.iter();
        let count: usize = sets.map(|set| set.lock().unwrap().len()).sum();
        assert!((1..=SETS_EACH * PLACES).contains(&count), "{count}");
    }
}
