//! Signing and verifying messages, and the handshake.

use alloc::vec::Vec;
use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use crate::checksum::{self, checksum};
use crate::class;
use crate::error::ParseError;
use crate::header::CommonHeader;
use crate::index::ObjectIndex;
use crate::message::Message;
use crate::message_type::MessageType;
use crate::object::HEADER;
use crate::objects::{Challenge, Integrity};

/// Bytes of an INTEGRITY object before the digest.
pub(super) const BEFORE_DIGEST: usize = 20;

/// The keyed digests in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC-MD5, 16 bytes: what RFC 2747 requires.
    HmacMd5,
    /// HMAC-SHA-1, 20 bytes: what Cisco IOS offers besides.
    HmacSha1,
    /// HMAC-SHA-224, 28 bytes. This one and the longer ones are not in RFC 2747, which leaves room
    /// for them.
    HmacSha224,
    /// HMAC-SHA-256, 32 bytes.
    HmacSha256,
    /// HMAC-SHA-384, 48 bytes.
    HmacSha384,
    /// HMAC-SHA-512, 64 bytes.
    HmacSha512,
}

/// A secret shared with the other node. `Debug` does not show it.
#[derive(Clone)]
pub struct Key {
    id: u64,
    algorithm: Algorithm,
    secret: Vec<u8>,
    answers_challenges: bool,
}

/// Why a message cannot be signed, or is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntegrityError {
    /// The message itself is malformed.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The sender did not sign.
    #[error("there is no INTEGRITY object")]
    Unsigned,
    /// What is to be signed has an INTEGRITY object already.
    #[error("there is an INTEGRITY object already")]
    AlreadySigned,
    /// The message names another key.
    #[error("the message is signed with key {found:#x}, not with key {expected:#x}")]
    OtherKey {
        /// The identifier of the key at hand.
        expected: u64,
        /// The identifier in the message.
        found: u64,
    },
    /// The digest is not that of these bytes with this key.
    #[error("the digest does not match: altered on the way, or signed with another secret")]
    Digest,
    /// A POLICY_DATA is signed together with the SESSION, and there is none.
    #[error("the message has no SESSION, which the signature of a POLICY_DATA covers")]
    NoSession,
    /// The message is neither a challenge nor a response.
    #[error("the message has no CHALLENGE object")]
    NoChallenge,
    /// With its INTEGRITY object the message would be longer than a message can be.
    #[error("with INTEGRITY the message would have {found} bytes; 65535 is the most")]
    TooLong {
        /// The length it would have.
        found: usize,
    },
    /// A response to another challenge.
    #[error("the response carries cookie {found:#x}, not {expected:#x}")]
    Cookie {
        /// The cookie of the challenge.
        expected: u64,
        /// The cookie in the response.
        found: u64,
    },
}

impl Algorithm {
    /// Length of the longest digest.
    pub(super) const LONGEST: usize = 64;

    /// Length of the digest in bytes.
    #[must_use]
    pub const fn digest_length(self) -> usize {
        match self {
            Self::HmacMd5 => 16,
            Self::HmacSha1 => 20,
            Self::HmacSha224 => 28,
            Self::HmacSha256 => 32,
            Self::HmacSha384 => 48,
            Self::HmacSha512 => 64,
        }
    }
}

impl Key {
    /// A key. `None` when the identifier has more than 48 bits.
    pub fn new(id: u64, algorithm: Algorithm, secret: impl Into<Vec<u8>>) -> Option<Self> {
        (id >> 48 == 0).then(|| Self {
            id,
            algorithm,
            secret: secret.into(),
            answers_challenges: false,
        })
    }

    /// The same key, for a node that answers challenges ([`respond`]): what it signs says so
    /// (Handshake Flag).
    #[must_use]
    pub fn answering_challenges(mut self) -> Self {
        self.answers_challenges = true;
        self
    }

    /// The key identifier; 48 bits.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn check_id(&self, found: u64) -> Result<(), IntegrityError> {
        let expected = self.id;
        if found == expected {
            Ok(())
        } else {
            Err(IntegrityError::OtherKey { expected, found })
        }
    }

    /// The digest of the parts, one after another.
    pub(super) fn digest(&self, parts: &[&[u8]]) -> Vec<u8> {
        match self.algorithm {
            Algorithm::HmacMd5 => digest::<Hmac<Md5>>(&self.secret, parts),
            Algorithm::HmacSha1 => digest::<Hmac<Sha1>>(&self.secret, parts),
            Algorithm::HmacSha224 => digest::<Hmac<Sha224>>(&self.secret, parts),
            Algorithm::HmacSha256 => digest::<Hmac<Sha256>>(&self.secret, parts),
            Algorithm::HmacSha384 => digest::<Hmac<Sha384>>(&self.secret, parts),
            Algorithm::HmacSha512 => digest::<Hmac<Sha512>>(&self.secret, parts),
        }
    }

    /// Whether this is the digest of the parts; in constant time.
    pub(super) fn verify(&self, parts: &[&[u8]], digest: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::HmacMd5 => matches::<Hmac<Md5>>(&self.secret, parts, digest),
            Algorithm::HmacSha1 => matches::<Hmac<Sha1>>(&self.secret, parts, digest),
            Algorithm::HmacSha224 => matches::<Hmac<Sha224>>(&self.secret, parts, digest),
            Algorithm::HmacSha256 => matches::<Hmac<Sha256>>(&self.secret, parts, digest),
            Algorithm::HmacSha384 => matches::<Hmac<Sha384>>(&self.secret, parts, digest),
            Algorithm::HmacSha512 => matches::<Hmac<Sha512>>(&self.secret, parts, digest),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, algorithm, .. } = self;
        f.debug_struct("Key")
            .field("id", id)
            .field("algorithm", algorithm)
            .finish_non_exhaustive()
    }
}

/// Signs a message: puts an INTEGRITY object behind the common header. The checksum is set to
/// 0, "none", as the digest does its work better.
///
/// `sequence` must be greater than in any message signed before with this key.
///
/// # Errors
/// The message is malformed, signed already, or gets too long.
pub fn sign(message: &[u8], key: &Key, sequence: u64) -> Result<Vec<u8>, IntegrityError> {
    let mut index = ObjectIndex::new();
    if Message::parse(message, &mut index)?
        .find(class::INTEGRITY)
        .is_some()
    {
        return Err(IntegrityError::AlreadySigned);
    }
    insert(message, key, sequence)
}

/// Checks that the digest of a message is that of this key.
///
/// # Errors
/// The message is malformed, not signed, signed with another key, or altered.
pub fn verify<'a>(message: &Message<'a>, key: &Key) -> Result<Integrity<'a>, IntegrityError> {
    let object = message
        .find(class::INTEGRITY)
        .ok_or(IntegrityError::Unsigned)?;
    let integrity: Integrity<'a> = object.read()?;
    key.check_id(integrity.key_id)?;
    let at = usize::from(object.offset).saturating_add(BEFORE_DIGEST);
    let parts = covered(message.bytes(), at, integrity.digest.len());
    if key.verify(&parts, integrity.digest) {
        Ok(integrity)
    } else {
        Err(IntegrityError::Digest)
    }
}

/// An Integrity Challenge message: asks the sender of a message with this key to prove that
/// its sequence numbers are fresh. `cookie` should not be foreseeable.
#[must_use]
pub fn challenge(key_id: u64, cookie: u64) -> Vec<u8> {
    unsigned(
        MessageType::IntegrityChallenge,
        &Challenge { key_id, cookie },
    )
}

/// The response to a challenge: the same CHALLENGE object, signed.
///
/// # Errors
/// The message is no challenge, or one for another key.
pub fn respond(message: &Message<'_>, key: &Key, sequence: u64) -> Result<Vec<u8>, IntegrityError> {
    let challenge = challenge_of(message, MessageType::IntegrityChallenge)?;
    key.check_id(challenge.key_id)?;
    insert(
        &unsigned(MessageType::IntegrityResponse, &challenge),
        key,
        sequence,
    )
}

/// Checks a response to the challenge with this cookie. The sequence number in the result is
/// the one to begin with, see [`ReplayWindow::starting_at`].
///
/// # Errors
/// The message is no response, has another cookie, or fails [`verify`].
pub fn verify_response<'a>(
    message: &Message<'a>,
    key: &Key,
    cookie: u64,
) -> Result<Integrity<'a>, IntegrityError> {
    let found = challenge_of(message, MessageType::IntegrityResponse)?.cookie;
    if found != cookie {
        return Err(IntegrityError::Cookie {
            expected: cookie,
            found,
        });
    }
    verify(message, key)
}

fn challenge_of(
    message: &Message<'_>,
    message_type: MessageType,
) -> Result<Challenge, IntegrityError> {
    let object = message.find(class::CHALLENGE);
    match object.filter(|_| message.message_type() == message_type) {
        Some(object) => Ok(object.read()?),
        None => Err(IntegrityError::NoChallenge),
    }
}

/// A message of nothing but a CHALLENGE object.
fn unsigned(message_type: MessageType, challenge: &Challenge) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&[0x10, message_type.number(), 0, 0, 64, 0, 0, 28]);
    bytes.extend_from_slice(&[0, 20, class::CHALLENGE, 1]);
    // Two reserved bytes, then the 48 bits of the key identifier.
    bytes.extend_from_slice(&(challenge.key_id & 0x0000_ffff_ffff_ffff).to_be_bytes());
    bytes.extend_from_slice(&challenge.cookie.to_be_bytes());
    let sum = checksum(&bytes);
    put(&mut bytes, checksum::OFFSET, &sum.to_be_bytes());
    bytes
}

/// The message with an INTEGRITY object behind its header.
fn insert(message: &[u8], key: &Key, sequence: u64) -> Result<Vec<u8>, IntegrityError> {
    let digest = key.algorithm.digest_length();
    let object = BEFORE_DIGEST.saturating_add(digest);
    let found = message.len().saturating_add(object);
    let Ok(length) = u16::try_from(found) else {
        return Err(IntegrityError::TooLong { found });
    };
    let (header, objects) = message
        .split_at_checked(CommonHeader::LENGTH)
        .unwrap_or_default();
    let mut bytes = Vec::with_capacity(found);
    bytes.extend_from_slice(header);
    bytes.extend_from_slice(&crate::wire::clamp(object).to_be_bytes());
    bytes.extend_from_slice(&[class::INTEGRITY, 1]);
    // Flags and a reserved byte, then the 48 bits of the key identifier.
    let flags = u64::from(Integrity::HANDSHAKE) << 56;
    let flags = if key.answers_challenges { flags } else { 0 };
    bytes.extend_from_slice(&(flags | key.id).to_be_bytes());
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.resize(bytes.len().saturating_add(digest), 0);
    bytes.extend_from_slice(objects);
    put(&mut bytes, checksum::OFFSET, &[0, 0]);
    put(
        &mut bytes,
        CommonHeader::LENGTH.saturating_sub(2),
        &length.to_be_bytes(),
    );
    let at = CommonHeader::LENGTH.saturating_add(BEFORE_DIGEST);
    let digest = key.digest(&covered(&bytes, at, digest));
    put(&mut bytes, at, &digest);
    Ok(bytes)
}

pub(super) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(field) = bytes
        .get_mut(at..)
        .and_then(|rest| rest.get_mut(..value.len()))
    {
        field.copy_from_slice(value);
    }
}

/// A message as the digest sees it: checksum and digest read as zeros (RFC 2747 §4.1).
fn covered(message: &[u8], digest_at: usize, digest_length: usize) -> [&[u8]; 5] {
    const ZEROS: [u8; Algorithm::LONGEST] = [0; Algorithm::LONGEST];
    let part = |from, to| message.get(from..to).unwrap_or_default();
    [
        part(0, checksum::OFFSET),
        &[0, 0],
        part(HEADER, digest_at),
        // A digest of another length is refused before its value matters.
        ZEROS.get(..digest_length).unwrap_or_default(),
        part(digest_at.saturating_add(digest_length), message.len()),
    ]
}

fn mac<M: Mac + KeyInit>(secret: &[u8], parts: &[&[u8]]) -> Option<M> {
    // HMAC takes secrets of any length.
    let mut mac = <M as KeyInit>::new_from_slice(secret).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac)
}

fn digest<M: Mac + KeyInit>(secret: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mac = mac::<M>(secret, parts);
    mac.map(|mac| mac.finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

fn matches<M: Mac + KeyInit>(secret: &[u8], parts: &[&[u8]], digest: &[u8]) -> bool {
    mac::<M>(secret, parts).is_some_and(|mac| mac.verify_slice(digest).is_ok())
}

/// Which sequence numbers of one sender and key were seen (RFC 2747 §4.2).
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    highest: Option<u64>,
    /// Bit n: `highest - n` was seen.
    seen: u64,
    size: u32,
}

impl ReplayWindow {
    /// Messages may come out of order by less than `size`, at most 64; with 1, which 0 also
    /// means, each number must be greater than all before.
    #[must_use]
    pub const fn new(size: u32) -> Self {
        let size = if size == 0 {
            1
        } else if size > 64 {
            64
        } else {
            size
        };
        Self {
            highest: None,
            seen: 0,
            size,
        }
    }

    /// A window of a sender that proved its sequence number by a response.
    #[must_use]
    pub const fn starting_at(sequence: u64, size: u32) -> Self {
        Self {
            highest: Some(sequence),
            seen: 1,
            ..Self::new(size)
        }
    }

    /// Whether the number is new; if so it is remembered. Ask only about verified messages.
    #[must_use]
    pub fn accept(&mut self, sequence: u64) -> bool {
        let Some(highest) = self.highest else {
            (self.highest, self.seen) = (Some(sequence), 1);
            return true;
        };
        if let Some(ahead) = sequence.checked_sub(highest).filter(|ahead| *ahead > 0) {
            let shift = u32::try_from(ahead).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(shift).unwrap_or(0) | 1;
            self.highest = Some(sequence);
            return true;
        }
        let behind = u32::try_from(highest.wrapping_sub(sequence)).unwrap_or(u32::MAX);
        match 1_u64.checked_shl(behind) {
            Some(bit) if behind < self.size && self.seen & bit == 0 => {
                self.seen |= bit;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_challenges_says_so() {
        let path = unsigned(
            MessageType::IntegrityResponse,
            &Challenge {
                key_id: 7,
                cookie: 1,
            },
        );
        let key = Key::new(7, Algorithm::HmacSha256, "secret").unwrap();
        for (key, answers) in [(key.clone(), false), (key.answering_challenges(), true)] {
            let signed = insert(&path, &key, 3).unwrap();
            let mut index = ObjectIndex::new();
            let message = Message::parse(&signed, &mut index).unwrap();
            let integrity = verify(&message, &key).unwrap();
            assert_eq!((integrity.handshake(), integrity.key_id), (answers, 7));
        }
    }

    #[test]
    fn strict_window() {
        let mut window = ReplayWindow::new(1);
        assert!(window.accept(5));
        assert!(!window.accept(5) && !window.accept(4));
        assert!(window.accept(6) && window.accept(u64::MAX));
        assert!(!window.accept(0));
    }

    #[test]
    fn wide_window() {
        let mut window = ReplayWindow::new(4);
        assert!(window.accept(10) && window.accept(13));
        assert!(window.accept(11) && !window.accept(11));
        assert!(!window.accept(9), "too old");
        assert!(window.accept(12) && !window.accept(10));
        assert!(window.accept(113) && !window.accept(13) && window.accept(111));
        let mut window = ReplayWindow::starting_at(7, 100);
        assert!(!window.accept(7) && window.accept(1));
    }
}
