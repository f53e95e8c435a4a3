//! Messages that this node signs (RFC 2747), with the keys by which it checks those of others.

use std::time::SystemTime;

use lpm_api::Interface;
use lpm_rsvp::Message;
use lpm_rsvp::integrity::{Key, respond, sign};

use crate::integrity::KeyEntry;

/// Signs messages.
pub struct Signer {
    keys: Vec<(KeyEntry, Key)>,
    /// The last sequence number: never less than before, after a restart either (RFC 2747 §3).
    sequence: u64,
}

impl Signer {
    /// A signer with these keys.
    #[must_use]
    pub fn new(keys: &[KeyEntry]) -> Self {
        let keys = keys.iter().filter_map(|entry| {
            let id = entry.id.unwrap_or_default();
            let key = Key::new(id, entry.algorithm, entry.secret.as_slice())?;
            Some((entry.clone(), key.answering_challenges()))
        });
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let nanoseconds = since.unwrap_or_default().as_nanos();
        Self {
            keys: keys.collect(),
            sequence: u64::try_from(nanoseconds).unwrap_or_default(),
        }
    }

    /// A message that goes out on an interface, signed with the first key for this node there. As
    /// it is, where there is none.
    pub fn signed(&mut self, bytes: Vec<u8>, interface: &Interface) -> Vec<u8> {
        let mut keys = self.keys.iter();
        let Some((_, key)) = keys.find(|(entry, _)| entry.is_for(interface.address, interface))
        else {
            return bytes;
        };
        self.sequence += 1;
        // What is too long to be signed is refused at the other end.
        sign(&bytes, key, self.sequence).unwrap_or(bytes)
    }

    /// The answer to a challenge that came in on an interface; `None` if it is none, or for no key
    /// of this node's.
    pub fn answer(&mut self, message: &Message<'_>, interface: &Interface) -> Option<Vec<u8>> {
        let keys = self.keys.iter();
        let mut keys = keys.filter(|(entry, _)| entry.is_for(interface.address, interface));
        self.sequence += 1;
        keys.find_map(|(_, key)| respond(message, key, self.sequence).ok())
    }
}
