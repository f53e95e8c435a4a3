//! The objects that LPMs supply for an outgoing message, and what may be taken from them.

use lpm_api::{LpmHandle, LpmStatus, PeType};
use lpm_rsvp::{ObjectWalk, PolicyData, class};

/// What the LPMs say about an outgoing message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutgoingVerdict {
    /// It goes out with these objects.
    Send(SuppliedObjects),
    /// It does not go out (lpmapi `LPV_DROP_MSG`).
    Drop {
        /// The first LPM, in configured order, that says so.
        by: LpmHandle,
    },
}

/// The POLICY_DATA objects for an outgoing message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SuppliedObjects {
    /// Whole objects in network byte order, one after the other, the LPMs in configured order.
    pub policy_data: Vec<u8>,
    /// LPMs that failed, or did not answer in time: the message goes out without their objects.
    pub late: Vec<LpmHandle>,
    /// LPMs whose objects do not fit beside those of LPMs before them.
    pub left_out: Vec<LpmHandle>,
}

/// What the LPMs that answered supplied.
#[derive(Default)]
pub(crate) struct Objects {
    room: usize,
    supplied: Vec<(u32, LpmHandle, Vec<u8>)>,
    dropped_by: Option<(u32, LpmHandle)>,
    late: Vec<(u32, LpmHandle)>,
    /// Why the first that supplied nothing did not.
    failure: Option<LpmStatus>,
}

/// Why objects are not taken from an LPM.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadObjects {
    #[error("{0}; expected well-formed POLICY_DATA objects")]
    Malformed(#[from] lpm_rsvp::ParseError),
    #[error(
        "an object of class {found}; expected POLICY_DATA, {}",
        class::POLICY_DATA
    )]
    Class { found: u8 },
    #[error("{found} bytes of objects; the message has room for {room}")]
    Size { found: usize, room: usize },
    #[error("options in a POLICY_DATA object; only LPMs that serve all types supply them")]
    Options,
    #[error("a policy element of P-Type {found}; the LPM serves {serves}")]
    PeType { found: u16, serves: PeType },
}

impl Objects {
    pub(crate) fn new(room: u32) -> Self {
        Self {
            room: room as usize,
            ..Self::default()
        }
    }

    /// Adds what an LPM supplies, if it is what that LPM may supply.
    pub(crate) fn add(
        &mut self,
        lpm: LpmHandle,
        order: u32,
        pe_type: PeType,
        policy_data: &[u8],
    ) -> Result<(), BadObjects> {
        self.check(pe_type, policy_data)?;
        self.add_checked(lpm, order, policy_data);
        Ok(())
    }

    /// Whether an LPM that serves this type may supply it.
    pub(crate) fn check(&self, pe_type: PeType, policy_data: &[u8]) -> Result<(), BadObjects> {
        check(policy_data, pe_type, self.room)
    }

    /// Adds what an LPM may supply.
    pub(crate) fn add_checked(&mut self, lpm: LpmHandle, order: u32, policy_data: &[u8]) {
        if !policy_data.is_empty() {
            self.supplied.push((order, lpm, policy_data.to_vec()));
        }
    }

    pub(crate) fn add_late(&mut self, lpm: LpmHandle, order: u32, why: LpmStatus) {
        self.late.push((order, lpm));
        self.failure.get_or_insert(why);
    }

    /// Notes that what an LPM supplied is not taken.
    pub(crate) fn refuse(&mut self) {
        self.failure.get_or_insert(LpmStatus::INVALID_RESULTS);
    }

    /// Why an LPM supplied nothing that could be taken.
    #[cfg(feature = "testing")]
    pub(crate) fn failure(&self) -> Option<LpmStatus> {
        self.failure
    }

    pub(crate) fn drop_message(&mut self, lpm: LpmHandle, order: u32) {
        if self.dropped_by.is_none_or(|(other, _)| order < other) {
            self.dropped_by = Some((order, lpm));
        }
    }

    pub(crate) fn merge(&mut self, mut others: Self) {
        self.supplied.append(&mut others.supplied);
        self.late.append(&mut others.late);
        self.failure = self.failure.or(others.failure);
        if let Some((order, lpm)) = others.dropped_by {
            self.drop_message(lpm, order);
        }
    }

    pub(crate) fn verdict(mut self) -> OutgoingVerdict {
        if let Some((_, by)) = self.dropped_by {
            return OutgoingVerdict::Drop { by };
        }
        self.supplied.sort_by_key(|(order, ..)| *order);
        self.late.sort_by_key(|(order, _)| *order);
        let mut objects = SuppliedObjects::default();
        for (_, lpm, supplied) in self.supplied {
            if objects.policy_data.len() + supplied.len() <= self.room {
                objects.policy_data.extend(supplied);
            } else {
                objects.left_out.push(lpm);
            }
        }
        objects.late = self.late.into_iter().map(|(_, lpm)| lpm).collect();
        OutgoingVerdict::Send(objects)
    }
}

/// Whether an LPM that serves this type may supply these objects for a message with so much room.
fn check(policy_data: &[u8], pe_type: PeType, room: usize) -> Result<(), BadObjects> {
    let found = policy_data.len();
    if found > room {
        return Err(BadObjects::Size { found, room });
    }
    for object in ObjectWalk::new(policy_data, 0) {
        let object = object?;
        if object.class != class::POLICY_DATA {
            return Err(BadObjects::Class {
                found: object.class,
            });
        }
        let data: PolicyData<'_> = object.read()?;
        for option in data.options() {
            option?;
            if pe_type != PeType::ALL {
                return Err(BadObjects::Options);
            }
        }
        for element in data.raw_elements() {
            let found = element?.p_type;
            if !pe_type.serves(found) {
                let serves = pe_type;
                return Err(BadObjects::PeType { found, serves });
            }
        }
    }
    Ok(())
}
