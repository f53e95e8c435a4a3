//! Who asked lately, and in which words.
//!
//! Nearly all messages are from somebody who asked before in the same words: the same POLICY_DATA
//! object is in the Path and the Resv of a flow, in their refreshes, and in those of the user's
//! other flows. Then no name has to be brought to its canonical form and looked up. What a flow
//! asks for is read anew from every message; whether its INTEGRITY was verified makes a difference
//! here too, and limits, schedules and the directory are asked later on.
//!
//! Kept by all objects of its message, a refresh took 600 instructions less, and each Path and each
//! Resv some 640 bytes.
//!
//! They belong to one policy, and go with it. Only those whom the policy lists are kept, so that
//! strangers, who may claim anything, take neither memory nor anybody's place.

use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{iter, mem};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use lpm_api::lpm_rsvp::{Credential, Message, class};
use lpm_sample::identity::Identities;

use crate::policy::{CredentialTypes, Policy};
use crate::request::{Asking, Known};
use crate::slots::Slots;

/// How many wordings are kept for each who is listed, on average: then the one that was kept first
/// makes room.
const WORDINGS: usize = 8;

/// What is longer, in bytes, is read every time, so that memory is bounded.
const LONGEST: usize = 512;

/// The identities that were read last.
#[derive(Debug)]
pub(crate) struct RecentIdentities {
    kept: Mutex<Kept>,
    /// How many are kept at most.
    most: u32,
    state: RandomState,
}

#[derive(Debug, Default)]
struct Kept {
    identities: Slots<Recent>,
    /// Their places, by what was said.
    places: HashTable<u32>,
    /// Where the next one is kept.
    next: u32,
}

#[derive(Debug)]
struct Recent {
    hash: u64,
    accepted: CredentialTypes,
    object: Arc<[u8]>,
    known: Known,
}

/// What it depends on who asks with a message, besides the policy.
struct Key<'a> {
    hash: u64,
    accepted: CredentialTypes,
    object: &'a [u8],
    /// Where in the message the object is.
    at: usize,
}

impl RecentIdentities {
    /// Nobody yet, with room for all whom the policy lists.
    pub(crate) fn new(policy: &Policy) -> Self {
        let listed = policy.users().len() + policy.applications().len();
        Self {
            kept: Mutex::default(),
            most: u32::try_from(WORDINGS * listed.max(1)).unwrap_or(u32::MAX),
            state: RandomState::default(),
        }
    }

    /// Who asks with a message whose INTEGRITY was verified or not, in the terms of the policy.
    pub(crate) fn who<'a>(
        &self,
        message: &Message<'a>,
        integrity_verified: bool,
        policy: &Policy,
    ) -> Asking<'a> {
        let accepted = policy.authentication().accepted(integrity_verified);
        let key = Key::of(message, accepted, &self.state);
        if let Some(asking) = key.as_ref().and_then(|key| self.remembered(key)) {
            return asking;
        }
        let believes = |credential: Option<&Credential<'_>>| accepted.include_that_of(credential);
        let (users, applications) = (policy.users().names(), policy.applications().names());
        let identities = Identities::of(message, believes, users, applications);
        match key.and_then(|key| Some((key, known(message, &identities, policy)?))) {
            Some((key, known)) => self.remember(&key, known),
            None => Asking::Read(identities),
        }
    }

    fn remembered<'a>(&self, key: &Key<'_>) -> Option<Asking<'a>> {
        let kept = self.lock();
        let is_it = |place: &u32| kept.identities[*place].is(key);
        let place = kept.places.find(key.hash, is_it)?;
        Some(kept.identities[*place].asking(key.at))
    }

    fn remember<'a>(&self, key: &Key<'_>, known: Known) -> Asking<'a> {
        let recent = Recent {
            hash: key.hash,
            accepted: key.accepted,
            object: key.object.into(),
            known,
        };
        let asking = recent.asking(key.at);
        self.lock().keep(recent, self.most);
        asking
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Keeps an identity; where there are the most, instead of the one that was kept first.
    fn keep(&mut self, recent: Recent, most: u32) {
        let hash = recent.hash;
        let oldest = self.next;
        let place = match self.identities.get_mut(oldest) {
            Some(old) => {
                let old = mem::replace(old, recent);
                if let Ok(found) = self.places.find_entry(old.hash, |place| *place == oldest) {
                    found.remove();
                }
                oldest
            }
            None => self.identities.insert(recent),
        };
        let identities = &self.identities;
        let hash_of = |place: &u32| identities[*place].hash;
        self.places.insert_unique(hash, place, hash_of);
        self.next = (place + 1) % most;
    }
}

impl Recent {
    fn is(&self, key: &Key<'_>) -> bool {
        self.hash == key.hash && self.accepted == key.accepted && *self.object == *key.object
    }

    /// Who asks with a message that has the object here.
    fn asking<'a>(&self, at: usize) -> Asking<'a> {
        Asking::Known {
            known: self.known,
            object: Arc::clone(&self.object),
            at,
        }
    }
}

impl<'a> Key<'a> {
    /// `None` for a message with several POLICY_DATA objects, or none, and for one that is long.
    fn of(message: &Message<'a>, accepted: CredentialTypes, state: &RandomState) -> Option<Self> {
        let mut objects = message.entries().iter();
        let only = objects.find(|object| object.class == class::POLICY_DATA)?;
        if objects.any(|object| object.class == class::POLICY_DATA) {
            return None;
        }
        let (start, length) = (usize::from(only.offset), usize::from(only.length));
        let object = message.bytes().get(start..start + length)?;
        (length <= LONGEST).then(|| Key {
            hash: state.hash_one(object),
            accepted,
            object,
            at: start,
        })
    }
}

/// Who asks for all flows with this message, if its one POLICY_DATA object is about all of them,
/// and it is somebody whom the policy lists.
fn known(message: &Message<'_>, identities: &Identities<'_>, policy: &Policy) -> Option<Known> {
    let data = message.policy_data().next()?.ok()?;
    let is_about_all = data.filter_specs().next().is_none() && data.scope().is_none();
    let identified = identities.subject(iter::empty()).ok()?;
    Known::of(identified, policy).filter(|_| is_about_all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lpm_api::lpm_rsvp::build::{Identity, Path, PolicyData};
    use lpm_api::lpm_rsvp::{FilterSpec, ObjectIndex, RsvpHop, Session, TimeValues, Tspec};
    use lpm_sample::identity::Malformed;
    use std::net::Ipv4Addr;

    use crate::subject::Subject;

    fn recent() -> (RecentIdentities, Policy) {
        let text = "[authentication]\naccept = ['ascii_id']\naccept_with_integrity = ['dn']\n\
                    [default]\npriority = 1\n[[user]]\nid = 'ada'";
        let policy = Policy::parse("test", text).unwrap();
        (RecentIdentities::new(&policy), policy)
    }

    fn path(data: PolicyData, port: u16) -> Vec<u8> {
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
        let session = Session::new(address, 17, 5004).unwrap();
        let sender = FilterSpec::new(address, port);
        let path = Path::new(session, hop, TimeValues::DEFAULT, sender, tspec).policy_data(data);
        path.build().unwrap()
    }

    fn named(id: &str) -> PolicyData {
        PolicyData::new().element(Identity::user().credential(id))
    }

    /// Who asks, and how many are kept then.
    fn who(
        (recent, policy): &(RecentIdentities, Policy),
        bytes: &[u8],
        verified: bool,
    ) -> (Result<Subject, Malformed>, usize) {
        let mut index = ObjectIndex::new();
        let message = Message::parse(bytes, &mut index).unwrap();
        let flow = message.flow_descriptors().next().unwrap();
        let asking = recent.who(&message, verified, policy);
        let request = asking.request(&message, &flow);
        let kept = recent.lock().identities.len();
        assert_eq!(recent.lock().places.len(), kept);
        (request.who.map(|who| who.subject), kept)
    }

    #[test]
    fn whoever_asks_again_in_the_same_words_is_known() {
        let recent = recent();
        let ada = || Ok(Subject::User(0));
        assert_eq!(who(&recent, &path(named("ada"), 1), false), (ada(), 1));
        // A refresh, and another flow.
        assert_eq!(who(&recent, &path(named("ada"), 1), false), (ada(), 1));
        assert_eq!(who(&recent, &path(named("ada"), 2), false), (ada(), 1));
        // Other credentials are accepted; other words.
        assert_eq!(who(&recent, &path(named("ada"), 1), true), (ada(), 2));
        assert_eq!(who(&recent, &path(named("ADA"), 1), false), (ada(), 3));
    }

    #[test]
    fn what_is_about_some_flows_is_read_every_time() {
        let recent = recent();
        let of_other = FilterSpec::new(Ipv4Addr::new(10, 0, 0, 1), 2);
        let bytes = path(named("ada").filter_spec(of_other), 2);
        assert_eq!(who(&recent, &bytes, false), (Ok(Subject::User(0)), 0));
        let bytes = path(named("ada").filter_spec(of_other), 1);
        let nobody = Ok(Subject::Unauthenticated);
        assert_eq!(who(&recent, &bytes, false), (nobody, 0));
    }

    #[test]
    fn neither_strangers_nor_what_is_long_is_remembered() {
        let recent = recent();
        for id in ["grace", "", &" ada".repeat(200)] {
            let (_, kept) = who(&recent, &path(named(id), 1), false);
            assert_eq!(kept, 0, "{id}");
        }
    }

    #[test]
    fn not_more_is_remembered_than_there_are_places() {
        let recent = recent();
        for spaces in 0..100 {
            let id = format!("ada{}", " ".repeat(spaces));
            let (who, kept) = who(&recent, &path(named(&id), 1), false);
            assert_eq!(who, Ok(Subject::User(0)));
            assert_eq!(kept, WORDINGS.min(spaces + 1));
        }
    }
}
