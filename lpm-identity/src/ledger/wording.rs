//! What a message said word for word, kept of the last one that a flow is counted for: nearly all
//! messages are refreshes, and one with the same bytes need not be read.
//!
//! All of it is compared, and where it came in: a hash only finds it, so that no stranger's message
//! is taken for it. The POLICY_DATA object that all messages of a user have is kept once for all.

use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use lpm_api::Interface;

/// What is longer, in bytes, is read every time, so that memory is bounded by the number of flows.
const LONGEST: usize = 1024;

/// A message as it came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wording<'a> {
    pub(crate) message: &'a [u8],
    /// What of it others say, too, and from where on it stands there.
    pub(crate) common: Option<(usize, &'a Arc<[u8]>)>,
    pub(crate) interface: Interface,
    pub(crate) integrity_verified: bool,
    /// Until when it is admitted so, if not always.
    pub(crate) until: Option<SystemTime>,
}

/// A message of before.
#[derive(Debug)]
pub(super) struct Kept {
    hash: u64,
    /// What it says besides what others say, too.
    own: Box<[u8]>,
    common: Option<Arc<[u8]>>,
    /// From where on that stands there.
    at: u16,
    integrity_verified: bool,
    interface: Interface,
    until: Option<SystemTime>,
}

impl<'a> Wording<'a> {
    /// A message that came in there. `None` if it is too long to be kept.
    pub(crate) fn of(message: &'a [u8], interface: Interface, verified: bool) -> Option<Self> {
        (message.len() <= LONGEST).then_some(Self {
            message,
            common: None,
            interface,
            integrity_verified: verified,
            until: None,
        })
    }

    pub(super) fn hash(&self, hasher: &impl BuildHasher) -> u64 {
        hasher.hash_one(self.message)
    }

    /// Where what others say, too, stands.
    fn common_range(&self) -> Range<usize> {
        let (at, length) = self.common.map_or((0, 0), |(at, part)| (at, part.len()));
        at..at + length
    }
}

impl Kept {
    pub(super) fn of(wording: &Wording<'_>, hash: u64) -> Self {
        let Range { start, end } = wording.common_range();
        let own = [&wording.message[..start], &wording.message[end..]].concat();
        Self {
            hash,
            own: own.into(),
            common: wording.common.map(|(_, part)| Arc::clone(part)),
            at: u16::try_from(start).unwrap_or(0),
            integrity_verified: wording.integrity_verified,
            interface: wording.interface,
            until: wording.until,
        }
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// Whether it is admitted at this time as it was.
    pub(super) fn holds_at(&self, time: impl FnOnce() -> SystemTime) -> bool {
        self.until.is_none_or(|until| time() <= until)
    }

    /// Whether a message says the same, and came in at the same place.
    pub(super) fn is(&self, wording: &Wording<'_>) -> bool {
        let common = self.common.as_deref().unwrap_or_default();
        let Some((before, rest)) = wording.message.split_at_checked(self.at.into()) else {
            return false;
        };
        let (own_before, own_after) = self.own.split_at(self.at.into());
        before == own_before
            && rest.strip_prefix(common) == Some(own_after)
            && self.integrity_verified == wording.integrity_verified
            && self.interface == wording.interface
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_hash_does_not_make_messages_the_same() {
        let common: Arc<[u8]> = Arc::from(*b"who");
        let interface = Interface {
            index: 1,
            address: Ipv4Addr::UNSPECIFIED.into(),
        };
        let message = b"before who after";
        let bare = Wording::of(message, interface, false).unwrap();
        let with_common = Wording {
            common: Some((7, &common)),
            ..bare
        };
        for wording in [bare, with_common] {
            // The hash is that of all of them: what is kept is found, and then compared.
            let kept = Kept::of(&wording, 7);
            assert!(kept.is(&bare));
            let others = (0..message.len()).flat_map(|at| {
                let (mut changed, mut shorter) = (message.to_vec(), message.to_vec());
                changed[at] ^= 1;
                shorter.remove(at);
                let mut longer = message.to_vec();
                longer.insert(at, b'x');
                [changed, shorter, longer, message[..at].to_vec()]
            });
            for other in others {
                let wording = Wording::of(&other, interface, false).unwrap();
                assert!(!kept.is(&wording), "{other:?}");
            }
            let verified = Wording::of(message, interface, true).unwrap();
            let elsewhere = Interface {
                index: 2,
                ..interface
            };
            let elsewhere = Wording::of(message, elsewhere, false).unwrap();
            assert!(!kept.is(&verified) && !kept.is(&elsewhere));
        }
        assert!(Wording::of(&[0; LONGEST + 1], interface, false).is_none());
    }
}
