//! Whether the sequence numbers of a sender are fresh: it is asked before the first one is believed
//! (RFC 2747 §4.3). Else what was recorded long ago could be sent again after a restart.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use lpm_rsvp::Message;
use lpm_rsvp::integrity::{Key, challenge, verify_response};

/// How long an answer is waited for before the sender is asked again, once another message of it
/// comes.
const AGAIN: Duration = Duration::from_secs(1);

/// Senders that were asked.
#[derive(Debug, Default)]
pub struct Handshakes {
    /// Keyed with what nobody knows: cookies cannot be foreseen.
    secret: RandomState,
    count: u64,
    /// By address and key identifier.
    open: HashMap<(IpAddr, u64), Open>,
    outgoing: Vec<(IpAddr, Vec<u8>)>,
}

#[derive(Debug)]
struct Open {
    cookie: u64,
    asked: Instant,
}

impl Handshakes {
    /// Whether a message, which is signed with this key, is the answer to what its sender was
    /// asked. If not, the sender is asked.
    pub fn is_answer(&mut self, message: &Message<'_>, key: &Key, sender: IpAddr) -> bool {
        let place = (sender, key.id());
        if let Some(open) = self.open.get(&place) {
            if verify_response(message, key, open.cookie).is_ok() {
                self.open.remove(&place);
                return true;
            }
            if open.asked.elapsed() < AGAIN {
                return false;
            }
        }
        self.count += 1;
        let cookie = self.secret.hash_one((self.count, place));
        let asked = Instant::now();
        self.open.insert(place, Open { cookie, asked });
        self.outgoing.push((sender, challenge(key.id(), cookie)));
        false
    }

    /// The challenges that are to be sent now, and to whom.
    pub fn take(&mut self) -> Vec<(IpAddr, Vec<u8>)> {
        std::mem::take(&mut self.outgoing)
    }
}
