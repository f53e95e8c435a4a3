//! Whether messages are those of the nodes that they say: their INTEGRITY objects, checked with
//! configured keys (RFC 2747 §4.2).
//!
//! [`Guard`] finds the keys of a message by the address of its sender, the interface and the key
//! identifier, checks the digest, and asks the sender's window about the sequence number. A replay
//! can ask nobody, and takes the first number of a sender as it is; `pcm run` asks first, where the
//! key says so ([`crate::handshake`]).

use std::collections::hash_map::Entry;
use std::net::IpAddr;

use foldhash::{HashMap, HashMapExt};
use lpm_api::Interface;
use lpm_rsvp::integrity::{Algorithm, IntegrityError, Key, ReplayWindow, verify};
use lpm_rsvp::{Message, MessageType};
use lpm_sbm::InterfaceName;
use serde::Serialize;
use thiserror::Error;

use crate::handshake::Handshakes;

/// A key as configured.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// Of messages of this sender: the address in their RSVP_HOP, or their source address where
    /// they have none. `None` for all.
    pub sender: Option<IpAddr>,
    /// Of messages that come in on this interface. `None` for all.
    pub interface: Option<InterfaceName>,
    /// The key identifier; 48 bits. `None` for any.
    pub id: Option<u64>,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The secret.
    pub secret: Vec<u8>,
    /// How far messages may come out of their order: 1 to 64, and 1 for not at all.
    pub window: u32,
    /// Whether messages for this key that are not signed are refused.
    pub required: bool,
    /// Whether a sender that answers challenges is asked whether its sequence numbers are fresh.
    pub handshake: bool,
}

/// Does not show the secret.
impl std::fmt::Debug for KeyEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyEntry")
            .field("sender", &self.sender)
            .field("interface", &self.interface)
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .field("window", &self.window)
            .field("required", &self.required)
            .field("handshake", &self.handshake)
            .finish_non_exhaustive()
    }
}

/// What is known of who sent a message. Serialized in snake_case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Provenance {
    /// It has no INTEGRITY object.
    Unsigned,
    /// It has one, and there is no key for it.
    NotVerified,
    /// Its digest and its sequence number are right.
    Verified,
}

impl Provenance {
    /// What can be said of a message without any key.
    #[must_use]
    pub fn of_unchecked(message: &Message<'_>) -> Self {
        match message.integrity() {
            Some(_) => Self::NotVerified,
            None => Self::Unsigned,
        }
    }
}

/// Why a message is refused: a node drops it without an answer (RFC 2747 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Forged {
    /// The digest is not that of these bytes with any key for this sender.
    #[error("its digest is wrong: altered on the way, or signed with another secret (key {id:#x})")]
    Digest {
        /// The key identifier.
        id: u64,
    },
    /// There is a key for this sender, but not with this identifier or this length of digest.
    #[error(
        "it is signed with key {id:#x} and a digest of {length} bytes; no key of this sender has that \
         number and length"
    )]
    Key {
        /// The key identifier.
        id: u64,
        /// Length of the digest in bytes.
        length: usize,
    },
    /// The sequence number was seen, or is too old.
    #[error("its sequence number {sequence} was seen before, or is too old: a copy sent again")]
    Replayed {
        /// The sequence number.
        sequence: u64,
    },
    /// It came before its sender has answered whether its sequence numbers are fresh.
    #[error(
        "whether its sequence number is fresh is not known yet: its sender was asked (key {id:#x})"
    )]
    Unproven {
        /// The key identifier.
        id: u64,
    },
    /// It is not signed, and the key's entry asks for that.
    #[error("it is not signed, and messages of this sender must be")]
    Unsigned,
}

impl Forged {
    /// The reason in one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Digest { .. } => "digest",
            Self::Key { .. } => "key",
            Self::Replayed { .. } => "replayed",
            Self::Unproven { .. } => "unproven",
            Self::Unsigned => "unsigned",
        }
    }
}

/// Checks messages.
#[derive(Debug, Default)]
pub struct Guard {
    keys: Vec<KeyEntry>,
    windows: HashMap<(IpAddr, u64), ReplayWindow>,
    /// `None` where nobody can be asked.
    handshakes: Option<Handshakes>,
}

impl Guard {
    /// A guard with these keys, that has seen no message yet.
    #[must_use]
    pub fn new(keys: Vec<KeyEntry>) -> Self {
        Self {
            keys,
            windows: HashMap::new(),
            handshakes: None,
        }
    }

    /// A guard that can ask senders, and does where the key says so.
    #[must_use]
    pub fn asking(keys: Vec<KeyEntry>) -> Self {
        Self {
            handshakes: Some(Handshakes::default()),
            ..Self::new(keys)
        }
    }

    /// The challenges that are to be sent now, unsigned, and to whom.
    pub fn challenges(&mut self) -> Vec<(IpAddr, Vec<u8>)> {
        let handshakes = self.handshakes.as_mut();
        handshakes.map(Handshakes::take).unwrap_or_default()
    }

    /// Checks a message that came from this IP address on this interface.
    ///
    /// # Errors
    /// The message is not to be trusted.
    pub fn check(
        &mut self,
        message: &Message<'_>,
        source: IpAddr,
        interface: &Interface,
    ) -> Result<Provenance, Forged> {
        if self.keys.is_empty() {
            return Ok(Provenance::of_unchecked(message));
        }
        let sender = message.hop().map_or(source, |hop| hop.address);
        let mut keys = self.keys.iter().filter(|key| key.is_for(sender, interface));
        let Some(integrity) = message.integrity() else {
            // A challenge is never signed (RFC 2747 §4.3).
            let may_be_unsigned = message.message_type() == MessageType::IntegrityChallenge;
            return if !may_be_unsigned && keys.any(|key| key.required) {
                Err(Forged::Unsigned)
            } else {
                Ok(Provenance::Unsigned)
            };
        };
        let id = integrity.key_id;
        let mut keys = keys.peekable();
        if keys.peek().is_none() {
            return Ok(Provenance::NotVerified);
        }
        let length = integrity.digest.len();
        let mut refusal = Forged::Key { id, length };
        for entry in keys {
            let fits = entry.id.is_none_or(|own| own == id);
            if !fits || entry.algorithm.digest_length() != length {
                continue;
            }
            let Some(key) = Key::new(id, entry.algorithm, entry.secret.as_slice()) else {
                continue;
            };
            match verify(message, &key) {
                Ok(_) => {
                    let window = self.windows.entry((sender, id));
                    let is_new = matches!(window, Entry::Vacant(_));
                    let is_asked = is_new && entry.handshake && integrity.handshake();
                    if let Some(handshakes) = self.handshakes.as_mut().filter(|_| is_asked) {
                        if !handshakes.is_answer(message, &key, sender) {
                            return Err(Forged::Unproven { id });
                        }
                    }
                    let window = window.or_insert_with(|| ReplayWindow::new(entry.window));
                    let sequence = integrity.sequence;
                    return if window.accept(sequence) {
                        Ok(Provenance::Verified)
                    } else {
                        Err(Forged::Replayed { sequence })
                    };
                }
                Err(IntegrityError::Digest) => refusal = Forged::Digest { id },
                Err(_) => {}
            }
        }
        Err(refusal)
    }
}

impl KeyEntry {
    /// Whether it is for messages of this sender on this interface.
    pub(crate) fn is_for(&self, sender: IpAddr, interface: &Interface) -> bool {
        let is_interface = |name: InterfaceName| match name {
            InterfaceName::Index(index) => index == interface.index,
            InterfaceName::Address(address) => address == interface.address,
            InterfaceName::Any => true,
        };
        self.sender.is_none_or(|own| own == sender) && self.interface.is_none_or(is_interface)
    }
}
